"""flow/nodes/int_conv.py, rtl/int_conv.sv (with window_replay and channel_table) and hls/int_conv.hpp."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import NodeError, Stream
from tests.nodes.harness import SLOW, Case, NodeTests, Rtl, any_shape, hardware_op
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses, assert_refused
from tests.rtl.streams import random_signed

PIPELINE = 6  # cycles from a window's last beat to its last outputs, and one to spare; multipliers take one more


def ends(bits: int) -> tuple[int, int]:
    """The least and the largest number of ``bits`` bits; of one bit they are -1 and +1."""
    return (-1, 1) if bits == 1 else (-(1 << bits - 1), (1 << bits - 1) - 1)


def signed(rng, bits, size):
    """Anywhere in ``bits`` bits, the ends more often."""
    return rng.choice([-1, 1], size) if bits == 1 else random_signed(size, bits, int(rng.integers(1 << 32)))


def case(
    inputs,
    features,
    pe,
    simd,
    windows,
    bits=8,
    weight_bits=8,
    out_bits=8,
    acc_bits=24,
    shift=6,
    multiplier_bits=0,
    **how,
):
    """A layer whose biases do not hide the sums, but for the last: as large as the accumulator has room for."""

    def draw(op, rng):
        """Weights and multipliers over the whole range, those of the first two outputs at its ends."""
        weights = signed(rng, weight_bits, (features, op.synapses))
        weights[:2] = np.array(ends(weight_bits))[: min(2, features), None]
        multiplier = signed(rng, multiplier_bits, (features,)) if multiplier_bits else np.ones(1, np.int64)
        if multiplier_bits:
            multiplier[:2] = ends(multiplier_bits)[:features]
        largest = (inputs << bits + weight_bits - 2) * int(np.abs(multiplier).max())
        bias = rng.integers(-largest // 16, largest // 16, features)
        bias[-1] = (1 << acc_bits - 1) - largest - 1
        return (weights, bias, multiplier)[: 2 + bool(multiplier_bits)]

    return made(
        inputs, features, pe, simd, windows, bits, weight_bits, out_bits, acc_bits, shift, multiplier_bits, draw, how
    )


def wide_case(
    inputs, features, windows, pe, simd, bits, weight_bits, out_bits, acc_bits, shift, multiplier_bits=0, **how
):
    """A layer with biases as wide as its outputs; its first sum is the largest there is, by the lowest multiplier."""

    def draw(op, rng):
        weights = signed(rng, weight_bits, (features, op.synapses))
        weights[0] = ends(weight_bits)[0]
        width = min(out_bits + shift, acc_bits - 2)
        bias = rng.integers(-(1 << width - 1), 1 << width - 1, features)
        if not multiplier_bits:
            return weights, bias
        multiplier = signed(rng, multiplier_bits, (features,))
        multiplier[0], multiplier[-1] = -(1 << multiplier_bits - 1), (1 << multiplier_bits - 1) - 1
        return weights, bias, multiplier

    how = {"rtl": SLOW, **how}
    return made(
        inputs, features, pe, simd, windows, bits, weight_bits, out_bits, acc_bits, shift, multiplier_bits, draw, how
    )


def made(inputs, features, pe, simd, windows, bits, weight_bits, out_bits, acc_bits, shift, multiplier_bits, draw, how):
    attributes = {"width": windows, "channels": inputs, "features": features, "pe": pe, "simd": simd, "bits": bits}
    attributes |= {"weight_bits": weight_bits, "out_bits": out_bits, "acc_bits": acc_bits, "shift": shift}
    attributes |= {"scaled": int(multiplier_bits > 0)}
    extra = {name: how.pop(name) for name in ("masked", "conv_groups", "even") if name in how}
    attributes |= extra
    sizes = f"n{inputs}-o{features}-w{windows}-pe{pe}-simd{simd}-in{bits}-w{weight_bits}-acc{acc_bits}"
    label = "-".join([f"{sizes}-m{multiplier_bits}-shift{shift}-out{out_bits}", *(f"{k}{v}" for k, v in extra.items())])
    return Case("IntConv", attributes, draw, windows_of, frames=2, label=label, **how)


def windows_of(op, rng, frames, constants):
    """Random elements, and small ones in every second window of the first frame, or all its outputs would saturate.

    In the last frame there are the windows that drive the outputs as far up and down as they go, and constant ones.
    """
    x = signed(rng, op.bits, (frames, op.height, op.width, op.channels))
    x[0, 0, ::2] >>= op.bits // 2
    extreme = extreme_windows(op, constants[0])
    x[-1, 0, : len(extreme)] = extreme[: op.width]
    x[0, 0, 0] = ends(op.bits)[0]
    if op.masked:
        beats = x.reshape(-1, op.simd)
        beats[rng.integers(0, 3, len(beats)) == 0] = 0
    return (x,)


def extreme_windows(op, weights):
    """Windows [2 * outputs + 4, n]: the steepest of the first two outputs and the last one come first."""
    low, high = ends(op.bits)
    first = dict.fromkeys([0, len(weights) - 1, min(1, len(weights) - 1), *range(len(weights))])
    weights = np.tile(weights, op.conv_groups)  # whatever group an output is of
    steepest = [np.where(sign * weights[o] > 0, high, low) for o in first for sign in (1, -1)]
    constant = [np.full(op.channels, value) for value in ((low, high) if op.bits == 1 else (low, high, 0, -1))]
    return np.stack([*steepest[:6], *constant, *steepest[6:]])


def of_one_group(op, weights):
    """Return weights [O, n] with zeros for the inputs of the other groups of the convolution."""
    inputs, outputs = op.channels // op.conv_groups, op.features // op.conv_groups
    whole = np.zeros((op.features, op.channels), np.int64)
    for o in range(op.features):
        first = o // outputs * inputs
        whole[o, first : first + inputs] = weights[o]
    return whole


def minus(*sizes):
    """A layer with multipliers of -1 and 0, which take one bit."""
    made = wide_case(*sizes)
    draw = made.draw
    made.draw = lambda op, rng: (*draw(op, rng)[:2], -np.arange(op.features) % 2 - 1)
    made.label += "-minus"
    made.rtl = True
    return made


class TestIntConv(NodeTests):
    cases = [
        case(4, 6, 6, 4, 100, rtl=SLOW),  # one beat, one pass
        case(6, 3, 1, 6, 40, weight_bits=4, out_bits=20, acc_bits=18, shift=0),  # one beat, many passes
        case(10, 4, 4, 5, 40, bits=5, weight_bits=3, acc_bits=13, shift=5, rtl=SLOW),  # one pass; out = acc - shift
        case(8, 4, 2, 2, 30, weight_bits=2, acc_bits=13, shift=3),
        case(36, 4, 2, 9, 20, shift=8),  # two ranks of sums, the second of two terms
        # an accumulator narrower than a sum of any six products
        case(6, 4, 2, 6, 40, weight_bits=2, acc_bits=12, shift=3, rtl=SLOW),
        case(27, 64, 4, 3, 6, out_bits=10, acc_bits=22, shift=8),
        case(64, 128, 2, 4, 4, shift=12, rtl=SLOW),
        case(512, 10, 1, 8, 4, out_bits=32, acc_bits=26, shift=0, rtl=SLOW),  # the classifier
        case(4, 6, 6, 4, 100, acc_bits=22, shift=10, multiplier_bits=5, rtl=SLOW),  # a window a cycle, by multipliers
        case(6, 3, 1, 6, 40, weight_bits=2, out_bits=12, acc_bits=23, shift=8, multiplier_bits=12),
        # out = acc - shift
        case(10, 4, 4, 5, 40, bits=5, weight_bits=3, acc_bits=14, shift=6, multiplier_bits=2, rtl=SLOW),
        case(16, 4, 2, 4, 8, out_bits=32, acc_bits=27, shift=0, multiplier_bits=8, rtl=SLOW),  # no saturation
        case(64, 32, 2, 4, 4, acc_bits=40, shift=29, multiplier_bits=18),
        minus(6, 4, 5, 2, 6, 4, 3, 9, 18, 1, 2),
        wide_case(1, 1, 3, 1, 1, 8, 8, 8, 17, 0),  # saturates nearly always
        wide_case(6, 4, 5, 2, 6, 4, 3, 9, 18, 8, 9),  # multipliers
        wide_case(12, 6, 4, 6, 4, 8, 8, 16, 40, 5),  # a 64-bit accumulator
        wide_case(6, 4, 5, 2, 6, 4, 3, 9, 10, 1),
        wide_case(27, 64, 64, 8, 27, 8, 8, 10, 21, 7),
        wide_case(64, 8, 9, 4, 16, 9, 2, 10, 17, 4),  # weights of -2 to 1
        wide_case(64, 8, 9, 4, 16, 9, 2, 10, 28, 12, 12),
        wide_case(9, 3, 20, 1, 3, 8, 8, 8, 20, 6, 2),  # multipliers of -2 to 1
        wide_case(27, 16, 20, 4, 3, 8, 8, 10, 53, 38, 32),  # products, biases and shifts beyond 32 bits
        # signs as weights, as inputs (some of them outside the map), narrow factors, groups of a convolution
        case(32, 6, 3, 16, 12, bits=2, weight_bits=1, out_bits=5, acc_bits=9, shift=1),
        case(27, 4, 2, 9, 12, bits=8, weight_bits=1, acc_bits=24, shift=6, multiplier_bits=9),
        case(6, 3, 1, 1, 12, bits=16, weight_bits=1, out_bits=12, acc_bits=24, shift=7, rtl=SLOW),
        case(6, 4, 4, 6, 30, bits=3, weight_bits=1, out_bits=4, acc_bits=8, shift=1, rtl=SLOW),
        case(24, 4, 2, 4, 12, bits=1, weight_bits=4, out_bits=6, acc_bits=14, shift=2, masked=1),
        case(24, 4, 4, 12, 12, bits=1, weight_bits=8, acc_bits=26, shift=8, multiplier_bits=8, rtl=SLOW),
        case(36, 4, 2, 12, 12, bits=2, weight_bits=2, out_bits=6, acc_bits=10, shift=1),
        case(24, 4, 2, 2, 12, bits=9, weight_bits=2, acc_bits=20, shift=5, rtl=SLOW),
        case(36, 12, 2, 4, 8, weight_bits=4, acc_bits=20, shift=4, conv_groups=3),
        case(24, 8, 2, 6, 8, bits=4, weight_bits=1, out_bits=5, acc_bits=12, shift=1, conv_groups=4, rtl=SLOW),
        case(18, 2, 1, 9, 12, acc_bits=22, shift=4, conv_groups=2, rtl=SLOW),  # a beat a group, one pass
        # halves to the even neighbour
        case(6, 4, 2, 6, 40, bits=4, weight_bits=3, out_bits=6, acc_bits=12, shift=1, even=1),
        case(8, 4, 2, 4, 40, bits=3, weight_bits=1, out_bits=6, acc_bits=12, shift=2, multiplier_bits=3, even=1),
        wide_case(27, 16, 1024, 4, 3, 8, 8, 10, 21, 7),  # a stem
        wide_case(512, 10, 1, 1, 8, 10, 8, 32, 28, 0),  # a classifier
    ]
    reached = False  # test_bounds_are_reached

    @staticmethod
    def reference(op, streams, constants):
        """Sums of int64, and floor by division; no accumulator is wider than it says."""
        weights, bias, *multiplier = constants
        totals = (streams[0] @ of_one_group(op, weights).T) * (multiplier[0] if multiplier else 1) + bias
        assert -(1 << op.acc_bits - 1) <= totals.min() and totals.max() < 1 << op.acc_bits - 1
        results = np.rint(totals / 2**op.shift - 0.5) if op.even else totals // 2**op.shift
        return results.clip(*ends(op.out_bits))

    def check_rate(self, rtl):
        """No cycle is lost between passes and windows."""
        most = rtl.case.frames * rtl.case.op.cycles() + PIPELINE + rtl.case.op.scaled
        assert rtl.check().cycles <= most

    @pytest.mark.parametrize("after", [3, 4, 5, 6])
    def test_rtl_after_reset_in_mid_window(self, rtl, after):
        rtl.check(seed=1, p_valid=0.7, p_ready=0.7, reset_at=rtl.case.op.cycles() // 2 + after)


@st.composite
def any_case(draw):
    bits, weight_bits = draw(st.tuples(st.integers(1, 16), st.integers(1, 8)).filter(lambda both: both != (1, 1)))
    shift, out_bits, multiplier_bits = draw(st.integers(0, 12)), draw(st.integers(2, 12)), draw(st.integers(0, 9))
    groups = draw(st.integers(1, 3))
    size = groups * draw(st.integers(1, 12)), groups * draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return wide_case(*size, 1, 1, bits, weight_bits, out_bits, 48, shift, multiplier_bits, conv_groups=groups)


test_any_shape = any_shape(TestIntConv, any_case())


@settings(max_examples=25, deadline=None)
@given(any_case())
def test_bounds_are_reached(node):
    """By the steepest windows."""
    op = node.op
    interval = tuple(np.full(op.channels, end) for end in ends(op.bits))
    ((low, high),) = op.bounds([interval], node.constants)
    results = op.evaluate(extreme_windows(op, node.constants[0])[None, None], *node.constants)[0, 0]
    np.testing.assert_array_equal(results.min(axis=0), low)
    np.testing.assert_array_equal(results.max(axis=0), high)


@settings(max_examples=25, deadline=None)
@given(any_case())
def test_fitted_accumulators_hold_every_step_and_no_bit_more(node):
    """The sum, its multiple, and that with the bias, of the steepest windows; or the shift, where that is wider."""
    op, (weights, bias, *multiplier) = node.op, node.constants
    interval = tuple(np.full(op.channels, end) for end in ends(op.bits))
    bits = op.fitted([interval], node.constants)["acc_bits"]
    sums = extreme_windows(op, weights) @ of_one_group(op, weights).T
    products = sums * (multiplier[0] if multiplier else 1)
    steps = np.stack([sums, products, products + bias])
    fits = -(1 << bits - 1) <= steps.min() and steps.max() < 1 << bits - 1
    fits_less = -(1 << bits - 2) <= steps.min() and steps.max() < 1 << bits - 2
    assert fits and (not fits_less or bits == op.shift + 1)


ONE = np.array([-128]), np.array([127])


def test_an_accumulator_of_more_than_64_bits_is_refused():
    op = hardware_op("IntConv", channels=1, features=1)
    constants = np.array([[1]]), np.array([0]), np.array([1 << 56])
    assert op.fitted([ONE], constants) == {"acc_bits": 64}
    with pytest.raises(NodeError, match=r"^its accumulator reaches -128\.\.127: use fewer bits$"):
        op.variant(shift=64).fitted([ONE], constants[:2])


def test_products_of_more_than_64_bits_are_refused():
    with pytest.raises(NodeError, match="use fewer bits$"):
        hardware_op("IntConv", channels=1, features=1).fitted(
            [ONE], (np.array([[1]]), np.array([0]), np.array([1 << 57]))
        )


SATURATING = TestIntConv.cases[:13]


@pytest.mark.parametrize("node", SATURATING, ids=str)
def test_few_random_sums_saturate(node):
    """Or what is compared of them would see little of them."""
    op, (weights, bias, *multiplier) = node.op, node.constants
    sums = node.streams[0][0, 0, 1:] @ weights.T * (multiplier[0] if multiplier else 1) + bias
    shifted = sums[:, : op.pe] >> op.shift
    assert np.mean(np.abs(shifted) < 1 << op.out_bits - 1) > 0.5


@pytest.mark.parametrize("node", SATURATING, ids=str)
def test_extreme_sums_saturate(node):
    """Where the accumulator is wider than the output."""
    op = node.op
    if op.shift and op.out_bits < op.acc_bits - op.shift:
        results = op.evaluate(extreme_windows(op, node.constants[0])[None, None, :10], *node.constants)
        assert (results.min(), results.max()) == ends(op.out_bits)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
def test_convolution_equals_torch(stride, bits):
    """Behind its window, laid out or not; of 16 bits in float64, as float32 does not hold the sums."""
    rng = np.random.default_rng(stride)
    size = {"height": 6, "width": 5, "channels": 40}
    window = hardware_op("SlidingWindow", **size, bits=bits, kernel=3, stride=stride, padding=1)
    (stream,) = window.outputs()
    size = {"height": stream.height, "width": stream.width, "channels": stream.channels}
    engine = hardware_op("IntConv", **size, features=4, bits=bits, out_bits=32)
    x, weights = signed(rng, bits, (3, 6, 5, 40)), signed(rng, 8, (4, 40, 3, 3))
    x[0], weights[0] = ends(bits)[0], -128
    bias = rng.integers(-1000, 1000, 4)
    images = torch.tensor(x).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.conv2d(
        images, torch.tensor(weights).double(), torch.tensor(bias).double(), stride=stride, padding=1
    )
    rows = weights.transpose(0, 2, 3, 1).reshape(4, -1)
    expected = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(engine.evaluate(window.evaluate(x), rows, bias), expected)
    np.testing.assert_array_equal(engine.quick(rows, bias)(window.quick()(x)), expected)


def test_streams_cycles_and_operations():
    shape = {"height": 4, "width": 3, "channels": 36, "features": 8, "pe": 2, "simd": 6}
    op = hardware_op("IntConv", **shape, bits=7, out_bits=9)
    assert op.inputs() == [Stream(4, 3, 36, 6, 7)]
    assert op.outputs() == [Stream(4, 3, 8, 2, 9)]
    assert op.cycles() == 12 * 4 * 6
    assert op.operations() == {"int8_mac": 12 * 36 * 8, "rescale": 12 * 8}
    assert op.variant(bits=9).operations() == {"int16_mac": 12 * 36 * 8, "rescale": 12 * 8}
    assert op.variant(weight_bits=1, conv_groups=4).operations() == {"add_subtract": 12 * 9 * 8, "rescale": 12 * 8}
    assert op.engine and op.streamable


# hardware


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
def test_the_cell_is_just_wide_enough(tmp_path, scaled):
    """Sums, multipliers and biases that use every bit of the widths that the node derives from them."""
    rng = np.random.default_rng(7)
    weights = signed(rng, 4, (4, 9))
    weights[0] = np.where(weights[0] < 0, -8, 7)
    constants = (weights, np.array([-900_000, 5, 0, 900_000]), np.array([-128, 0, 127, 1]))[: 2 + scaled]
    highest = np.where(weights[0] < 0, -128, 127)
    windows = np.vstack([signed(rng, 8, (30, 9)), highest, -1 - highest])
    attributes = {"width": 32, "channels": 9, "features": 4, "weight_bits": 4, "acc_bits": 22, "out_bits": 20}
    attributes |= {"shift": 1, "pe": 2, "simd": 3, "scaled": int(scaled)}
    node = Case("IntConv", attributes, lambda op, rng: constants, lambda *_: (windows[None, None],), frames=1)
    Rtl(node, tmp_path).check()


ZERO = "a weight is 0, and one of 1 bit is -1 or +1: set weight_bits to 2 or more"


def test_a_weight_of_0_is_no_sign():
    """Found where the graph gets its widths, too."""
    op = hardware_op("IntConv", channels=2, features=1, weight_bits=1)
    with pytest.raises(NodeError, match=f"^{re.escape(ZERO)}$"):
        op.fitted([ONE], (np.array([[-1, 0]]), np.array([0])))


@pytest.mark.parametrize(
    ("emit", "changes", "constants", "message"),
    [
        (cell_of, {"weight_bits": 4}, ([[8, -8]], [0]), "weights -8..8 do not fit 4 signed bits"),
        (cell_of, {"acc_bits": 8}, ([[1, 1]], [128]), "biases 128..128 do not fit 8 signed bits"),
        (cell_of, {"simd": 3}, ([[1, 1]], [0]), "simd 3 must divide its 2 inputs"),
        (call_of, {"simd": 3}, ([[1, 1]], [0]), "simd 3 must divide its 2 inputs"),
        (cell_of, {"conv_groups": 2}, ([[1]], [0]), "2 groups must divide its 2 inputs and 1 outputs"),
        (cell_of, {"weight_bits": 1}, ([[1, 0]], [0]), ZERO),
        (call_of, {"weight_bits": 1}, ([[1, 0]], [0]), ZERO),
        (
            cell_of,
            {"weight_bits": 1, "bits": 1},
            ([[1, 1]], [0]),
            "inputs and weights of one bit are an XnorPopcount's: set bits or weight_bits to 2 or more",
        ),
        (call_of, {"masked": 1}, ([[1, 1]], [0]), "inputs of 8 bits have a 0 and need no mask: set masked to 0"),
        (
            call_of,
            {"weight_bits": 9},
            ([[128, 1]], [0]),
            "weights of 9 bits: the HLS headers take at most 8",
        ),
        (
            call_of,
            {},
            ([[1, 1]], [1 << 31]),
            "bias 2147483648..2147483648 do not fit int32_t: the HLS headers take no more bits",
        ),
        (
            call_of,
            {"acc_bits": 64},
            ([[1, 1]], [0], [1 << 31]),
            "multipliers 2147483648..2147483648 do not fit int32_t: the HLS headers take no more bits",
        ),
    ],
)
def test_refuses(emit, changes, constants, message):
    assert_refused(emit, message, "IntConv", *constants, **{"channels": 2, "features": 1, **changes})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Pe": 4}, "Pe 4 does not divide"),
        ({"Simd": 4}, "Simd 4 does not divide"),
        ({"Shift": 20}, "Shift 20 is not less than"),
        ({"Scaled": 2}, "Scaled is 2, must be 0 or 1"),
        ({"WeightBits": 1, "InBits": 1}, "inputs and weights of one bit: use xnor_popcount"),
        ({"Masked": 1}, "Masked is for inputs of one bit, not of 8"),
        ({"ConvGroups": 2, "Outputs": 3}, "ConvGroups 2 and Pe 1 do not divide Outputs 3"),
    ],
    ids=["pe", "simd", "shift", "scaled", "signs", "masked", "groups"],
)
def test_the_module_refuses(tmp_path, wrong, message):
    parameters = {"Inputs": 10, "Outputs": 2, "Pe": 1, "Simd": 2, "AccBits": 20, "Shift": 2} | wrong
    files = {"WeightFile": "words.hex", "BiasFile": "words.hex"}
    width = parameters["Simd"] * parameters.get("InBits", 8) + parameters.get("Masked", 0)
    streams = {"in": width}, {"out": 8 * parameters["Pe"]}
    assert_module_refuses(message, "int_conv", parameters | files, *streams, tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Pe": 3}, "Pe must divide Outputs"),
        ({"Simd": 4}, "Simd must divide Inputs"),
        ({"WeightBits": 9}, "8-bit weights"),
        ({"Shift": 10}, "Shift < AccBits"),
        ({"ConvGroups": 3}, "Pe must divide Outputs, those of a group"),
        ({"Masked": 1}, "only inputs of one bit are masked"),
    ],
    ids=["pe", "simd", "weight_bits", "shift", "groups", "masked"],
)
def test_the_header_refuses(tmp_path, changed, message):
    """The tables and streams are as wide as the wrong parameters ask for."""
    parameters = {**call_of(wide_case(6, 4, 5, 2, 6, 4, 3, 9, 10, 1).node).parameters, **changed}
    pe, simd = parameters["Pe"], parameters["Simd"]
    words = -(-pe * simd * parameters["WeightBits"] // 8)
    tables = {"weights": ("uint8_t", (4 // pe * (6 // simd), words)), "bias": ("int32_t", (4 // pe, pe))}
    streams = {"in": 4 * simd + parameters["Masked"]}, {"out": 9 * pe}
    assert_header_refuses(
        f"int_conv: .*{message}", "int_conv", tuple(parameters.values()), tmp_path, *streams, **tables
    )

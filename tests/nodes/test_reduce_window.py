"""flow/nodes/reduce_window.py, rtl/reduce_window.sv (with multiply_shift) and hls/reduce_window.hpp."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import NodeError, Stream
from flow.nodes.windows import Windows
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_op
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses, assert_refused
from tests.rtl.streams import random_signed


def signed(rng, bits, size):
    """Anywhere in ``bits`` bits, the ends more often; of one bit -1 and +1."""
    return rng.choice([-1, 1], size) if bits == 1 else random_signed(size, bits, int(rng.integers(1 << 32)))


def factors(op, rng):
    """One factor for each row and column of outputs, as many pairs of which are different as ``positions`` says."""
    kinds = next(k for k in range(1, op.positions + 1) if op.positions % k == 0 and op.positions // k <= op.width)
    sides = []
    for size, count in ((op.height, kinds), (op.width, op.positions // kinds)):
        values = rng.permutation(np.arange(1, 8))[:count]
        sides.append(rng.permutation(np.concatenate([values, rng.choice(values, size - count)])))
    return sides


def case(taps, channels, simd, pixels=(3, 4), bits=8, per_channel=1, multiplier_bits=0, **options):
    """A window core; what is no attribute of it is an option of the case."""
    frames = {name: options.pop(name) for name in ("rtl", "hls") if name in options}
    attributes = {"height": pixels[0], "width": pixels[1], "channels": taps * channels, "taps": taps, "bits": bits}
    attributes |= {"features": channels * per_channel, "simd": simd, "pe": simd * per_channel}
    attributes |= {"scaled": int(multiplier_bits > 0), **options}

    def draw(op, rng):
        if not op.sums:
            return ()
        largest = taps << op.bits - 1 << max(op.weight_bits - 1, 0) + max(multiplier_bits - 1, 0)
        scale = (rng.integers(-largest // 4, largest // 4 + 1, op.features),)
        if multiplier_bits:
            scale = (*scale, signed(rng, multiplier_bits, (op.features,)))
        if op.positions:
            scale = (*scale, *factors(op, rng))
        return (signed(rng, op.weight_bits, (op.features, taps)), *scale) if op.weight_bits else scale

    made = Case("ReduceWindow", attributes, draw, **frames)
    if not made.op.sums:
        return made
    ends = tuple(np.full(taps * channels, end) for end in made.op.inputs()[0].range)
    made.attributes |= made.op.fitted([ends], made.constants)
    del made.op, made.constants
    constants = Case("ReduceWindow", {k: v for k, v in attributes.items() if k != "acc_bits"}, draw).constants
    made.draw = lambda op, rng: constants
    return made


class TestReduceWindow(NodeTests):
    cases = [
        # depthwise convolutions
        case(9, 16, 4, weight_bits=4, bits=4, shift=4, out_bits=4),
        case(9, 8, 8, weight_bits=8, shift=9, out_bits=8),
        case(4, 6, 2, weight_bits=3, bits=5, shift=2, out_bits=6, multiplier_bits=6),
        case(9, 6, 3, weight_bits=1, bits=4, out_bits=8),
        case(9, 8, 4, weight_bits=1, bits=1, out_bits=6),
        case(9, 8, 4, weight_bits=1, bits=1, masked=1, out_bits=6),
        case(3, 6, 2, weight_bits=5, bits=1, masked=1, out_bits=6, shift=1, multiplier_bits=4),
        case(6, 4, 2, weight_bits=4, bits=4, per_channel=3, out_bits=9, shift=1),
        case(1, 5, 1, weight_bits=8, bits=16, shift=12, out_bits=12, rtl=SLOW),
        case(9, 6, 3, weight_bits=3, bits=4, shift=2, even=1, out_bits=8),
        case(4, 4, 2, bits=4, shift=3, even=1, out_bits=5, multiplier_bits=3),
        case(25, 32, 16, weight_bits=8, bits=10, shift=20, out_bits=8, multiplier_bits=12, rtl=SLOW),
        case(9, 4, 1, weight_bits=2, bits=2, per_channel=2, out_bits=5, memory="distributed", rtl=SLOW),
        # average pools
        case(9, 8, 4, bits=4, out_bits=4, shift=3),
        case(49, 6, 2, bits=8, out_bits=8, shift=12, multiplier_bits=8),
        case(4, 5, 5, bits=1, out_bits=4),
        case(9, 6, 3, bits=1, masked=1, out_bits=5, shift=3, multiplier_bits=5),
        case(1, 3, 1, pixels=(1, 1), bits=6, out_bits=6, shift=1, rtl=SLOW),
        # means over another number of pixels at the border
        case(9, 8, 4, bits=4, out_bits=6, shift=4, multiplier_bits=4, positions=4),
        case(2, 3, 3, bits=8, out_bits=8, shift=8, multiplier_bits=2, positions=6, even=1),
        case(4, 4, 1, pixels=(1, 5), bits=1, masked=1, out_bits=5, shift=3, multiplier_bits=5, positions=2),
        case(4, 6, 2, weight_bits=3, bits=5, shift=2, out_bits=6, multiplier_bits=3, positions=3, rtl=SLOW),
        # maximum and minimum pools
        case(9, 16, 4, bits=4, reduction="max"),
        case(6, 5, 5, bits=8, reduction="min"),
        case(9, 12, 6, bits=1, reduction="max"),
        case(4, 3, 1, bits=1, reduction="min", rtl=SLOW),
        case(2, 4, 4, bits=16, reduction="max", rtl=SLOW),
        case(1, 4, 2, bits=3, reduction="min", rtl=SLOW),
    ]
    reached = False

    @staticmethod
    def reference(op, streams, constants):
        """A loop over blocks and taps, as beats come."""
        x = streams[0].reshape(len(streams[0]), op.height, op.width, -1, op.taps, op.simd)
        if not op.sums:
            return (x.max(axis=4) if op.reduction == "max" else x.min(axis=4)).reshape(*x.shape[:3], -1)
        weights = constants[0] if op.weight_bits else np.ones((op.features, op.taps), np.int64)
        bias, *multiplier = constants[bool(op.weight_bits) :]
        if op.positions:
            *multiplier, rows, columns = multiplier
        total = np.zeros((*x.shape[:3], op.features), np.int64)
        for output in range(op.features):
            channel = output // op.per_channel
            for tap in range(op.taps):
                total[..., output] += weights[output, tap] * x[..., channel // op.simd, tap, channel % op.simd]
        if op.positions:
            for y, x in np.ndindex(op.height, op.width):
                total[:, y, x] *= rows[y] * columns[x]
        total = total * (multiplier[0] if multiplier else 1) + bias
        assert -(1 << op.acc_bits - 1) <= total.min() and total.max() < 1 << op.acc_bits - 1
        result = np.rint(total / 2**op.shift - 0.5) if op.even else total // 2**op.shift
        return result.clip(-(1 << op.out_bits - 1), (1 << op.out_bits - 1) - 1)

    def check_rate(self, rtl):
        """A beat a cycle: no cycle is lost between blocks, windows and frames."""
        op = rtl.case.op
        stages = 2 + 2 * bool(op.weight_bits) + op.scaled
        assert rtl.check(extra_cycles=self.tail).cycles == rtl.case.frames * op.cycles() + stages


@st.composite
def any_case(draw):
    bits, taps, simd = draw(st.integers(1, 8)), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    size = (taps, simd * draw(st.integers(1, 3)), simd, (draw(st.integers(1, 3)), draw(st.integers(1, 3))), bits)
    reduction = draw(st.sampled_from(["sum", "sum", "max", "min"]))
    if reduction != "sum":
        return case(*size, reduction=reduction)
    weight_bits, multiplier_bits = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    return case(
        *size,
        draw(st.integers(1, 3)) if weight_bits else 1,
        multiplier_bits,
        positions=size[3][1] if multiplier_bits and min(taps, size[3][1]) > 1 else 0,
        weight_bits=weight_bits,
        masked=int(bits == 1 and draw(st.booleans())),
        out_bits=draw(st.integers(2, 12)),
        shift=draw(st.integers(0, 6)),
    )


test_any_shape = any_shape(TestReduceWindow, any_case())


def windowed(x, kernel, simd, stride, padding, pad_value):
    """Windows [N, OH, OW, C * taps] of a map in the order "block", and the same as Windows."""
    n, _, _, c = x.shape
    padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)), constant_values=pad_value)
    views = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride]
    n, height, width = views.shape[:3]
    blocks = views.reshape(n, height, width, c // simd, simd, kernel * kernel)
    sent = blocks.transpose(0, 1, 2, 3, 5, 4).reshape(n, height, width, -1)
    return sent, Windows(x, kernel, stride, padding, pad_value)


@pytest.mark.parametrize(
    ("bits", "weight_bits", "per_channel"), [(8, 8, 1), (4, 4, 2), (4, 1, 1), (1, 1, 1), (1, 3, 2)]
)
def test_depthwise_convolution_equals_torch(bits, weight_bits, per_channel):
    rng = np.random.default_rng(bits)
    x, weights = signed(rng, bits, (2, 7, 6, 6)), signed(rng, weight_bits, (6 * per_channel, 1, 3, 3))
    images, kernels = torch.tensor(x).permute(0, 3, 1, 2).double(), torch.tensor(weights).double()
    expected = torch.nn.functional.conv2d(images, kernels, stride=2, padding=1, groups=6).permute(0, 2, 3, 1).numpy()
    sent, windows = windowed(x, 3, 2, 2, 1, 0)
    op = hardware_op(
        "ReduceWindow",
        height=4,
        width=3,
        channels=54,
        features=6 * per_channel,
        taps=9,
        simd=2,
        pe=2 * per_channel,
        bits=bits,
        weight_bits=weight_bits,
        out_bits=32,
    )
    constants = weights.reshape(len(weights), 9), np.zeros(len(weights), np.int64)
    np.testing.assert_array_equal(op.evaluate(sent, *constants), expected)
    np.testing.assert_array_equal(op.quick(*constants)(windows), expected)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 1, 0), (5, 3, 2)])
def test_pools_equal_torch(kernel, stride, padding):
    """Padded with the least number a maximum takes no notice of it; a mean counts zeros."""
    rng = np.random.default_rng(kernel)
    x = signed(rng, 5, (2, 9, 8, 6))
    images = torch.tensor(x).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.max_pool2d(images, kernel, stride, padding).permute(0, 2, 3, 1).numpy()
    size = {"height": expected.shape[1], "width": expected.shape[2], "channels": 6 * kernel**2, "taps": kernel**2}
    size |= {"features": 6, "simd": 3, "pe": 3, "bits": 5}
    sent, windows = windowed(x, kernel, 3, stride, padding, -16)
    op = hardware_op("ReduceWindow", **size, reduction="max")
    np.testing.assert_array_equal(op.evaluate(sent), expected)
    np.testing.assert_array_equal(op.quick()(windows), expected)
    expected = torch.nn.functional.avg_pool2d(images, kernel, stride, padding).permute(0, 2, 3, 1).numpy()
    sent, windows = windowed(x, kernel, 3, stride, padding, 0)
    op, zeros = hardware_op("ReduceWindow", **size, out_bits=16), np.zeros(6, np.int64)
    np.testing.assert_array_equal(op.evaluate(sent, zeros), np.rint(expected * kernel**2))
    np.testing.assert_array_equal(op.quick(zeros)(windows), np.rint(expected * kernel**2))


def test_streams_cycles_and_folding():
    shape = {"height": 4, "width": 3, "channels": 9 * 12, "taps": 9, "features": 24, "simd": 4, "pe": 8}
    op = hardware_op("ReduceWindow", **shape, bits=4, weight_bits=3, out_bits=7)
    assert op.inputs() == [Stream(4, 3, 108, 4, 4)]
    assert op.outputs() == [Stream(4, 3, 24, 8, 7)]
    assert op.cycles() == 12 * 9 * 3
    assert op.taken().tolist() == [9 * (beat + 1) for beat in range(36)]
    assert op.operations() == {"int8_mac": 12 * 9 * 24}
    assert op.simds(None) == [1, 2, 3, 4, 6, 12] and op.pes() == [2, 4, 6, 8, 12, 24]
    assert op.misfit() is None
    assert op.variant(reduction="max", weight_bits=0, features=12, pe=4).operations() == {}
    assert op.engine and not op.streamable


def test_accumulators_of_more_than_64_bits_are_refused():
    op = hardware_op("ReduceWindow", channels=1, features=1, taps=1, scaled=1)
    ends = np.array([-128]), np.array([127])
    assert op.fitted([ends], (np.array([0]), np.array([1 << 56]))) == {"acc_bits": 64}
    with pytest.raises(NodeError, match=r"^its accumulator reaches -128\.\.127: use fewer bits$"):
        op.variant(shift=64).fitted([ends], (np.array([0]), np.array([1])))


SMALL = {"channels": 4, "features": 2, "taps": 2}


@pytest.mark.parametrize(
    ("changes", "constants", "message"),
    [
        ({"simd": 3, "pe": 3}, ([0, 0],), "simd 3 must divide its 2 channels"),
        (
            {"pe": 2},
            ([0, 0],),
            "pe 2 must be 1, the outputs of simd 1 channels: set it so in the plan",
        ),
        ({"reduction": "median"}, (), "reduction 'median' is none of sum, max, min"),
        (
            {"reduction": "max", "weight_bits": 4},
            (),
            "a max has no weights, masks or multipliers, and as many outputs as channels, not 2 of 2",
        ),
        (
            {"positions": 2},
            ([0, 0],),
            "multipliers by position are those of a scaled sum of several taps: set scaled to 1",
        ),
        (
            {"positions": 2, "scaled": 1},
            ([0, 0], [1, 1], [1], [3]),
            "it has factors of 1 positions, not 2: set positions so",
        ),
        ({"masked": 1}, ([0, 0],), "windows of 8 bits are not masked: pad them with the integer of 0"),
        ({"bits": 17}, ([0, 0],), "inputs of 17 bits, weights of 0: at most 16 and 8"),
        ({"weight_bits": 9}, ([[1, 1]] * 2, [0, 0]), "inputs of 8 bits, weights of 9: at most 16 and 8"),
        ({"weight_bits": 1}, ([[1, 0]] * 2, [0, 0]), "weights of one bit are -1 and +1, not 0..1"),
        ({"weight_bits": 3}, ([[1, 4]] * 2, [0, 0]), "weights 1..4 do not fit 3 signed bits"),
    ],
)
@pytest.mark.parametrize("emit", [cell_of, call_of])
def test_refuses(emit, changes, constants, message):
    assert_refused(emit, message, "ReduceWindow", *constants, **{**SMALL, **changes})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Reduction": "med"}, "med is none of sum, max, min"),
        ({"Simd": 4}, "Simd 4 does not divide Channels 6"),
        ({"Outputs": 8}, "Outputs 8 is no multiple of Channels 6"),
        ({"Shift": 20}, "shift_saturate: Shift 20 is not less than InBits 20"),
        ({"Even": 1}, "shift_saturate: Even is 1 with a Shift of 0"),
        ({"Positions": 4}, "Positions 4 need Scaled and several taps"),
        ({"Reduction": "max", "Scaled": 1}, "a max has the outputs and bits of its input"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_module_refuses(tmp_path, wrong, message):
    parameters = {"Channels": 6, "Outputs": 6, "Simd": 2, "AccBits": 20} | wrong
    outputs = parameters["Simd"] * (parameters["Outputs"] // 6) * parameters.get("OutBits", 8)
    streams = {"in": 8 * parameters["Simd"]}, {"out": outputs}
    assert_module_refuses(message, "reduce_window", {**parameters, "BiasFile": "words.hex"}, *streams, tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Simd": 4}, "Simd divides Channels"),
        ({"InBits": 17}, "at most 16-bit inputs"),
        ({"Shift": 20}, "Shift < AccBits"),
    ],
    ids=["simd", "in_bits", "shift"],
)
def test_the_header_refuses(tmp_path, changed, message):
    call = call_of(case(2, 6, 2, bits=4, out_bits=4).node)
    parameters = {**call.parameters, "AccBits": 20, **changed}
    simd = parameters["Simd"]
    streams = {"in": parameters["InBits"] * simd}, {"out": 4 * simd}
    tables = {"bias": ("int32_t", (6 // simd, simd))}
    given = tuple(parameters.values()), tmp_path, *streams
    assert_header_refuses(f"sum_pool: .*{message}", "reduce_window", *given, function="sum_pool", **tables)

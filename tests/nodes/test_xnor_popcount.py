"""flow/nodes/xnor_popcount.py, rtl/xnor_popcount.sv (with popcount_lane, popcount_activation, window_replay) and
hls/xnor_popcount.hpp. What its activations compute is compared in test_binary_engine.py, too."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import NodeError, Stream
from flow.nodes.xnor_popcount import XnorPopcount
from tests.nodes import votes
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, draw_stream, hardware_op, random_signs
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses, assert_refused

PIPELINE = 5  # cycles from a window's last beat to its last votes, and one to spare
SCALE = {"activation": "popcount_scale"}
SUM = {"activation": "sum"}
THRESHOLD = {"activation": "threshold"}


class WideBeats(XnorPopcount):
    """With more inputs a beat than HLS takes, which the module does not mind."""

    def misfit(self):
        return None


def case(inputs, features, pe, simd, windows=30, kind="XnorPopcount", rtl=True, hls=True, label="", **attributes):
    shape = {"width": windows, "channels": inputs, "features": features, "pe": pe, "simd": simd}
    options = "-".join(f"{name}_{value}" for name, value in attributes.items())
    label = label or f"n{inputs}-o{features}-pe{pe}-simd{simd}-{options}".rstrip("-")
    return Case(kind, {**shape, **attributes}, votes.constants, windows_of, frames=2, rtl=rtl, hls=hls, label=label)


def windows_of(op, rng, frames, constants):
    """Signs at random; the base window and its opposite, which tie; a window like a weight, and an opposite one."""
    x = draw_stream(op.inputs()[0], rng, frames)
    weights, base = np.tile(constants[0], op.conv_groups), votes.base_window(op.channels)
    flat = x.reshape(-1, op.channels)
    outside = flat == 0
    flat[1 : min(3, len(flat))] = np.stack([base, -base])[: len(flat) - 1]
    flat[0], flat[-1] = weights[-1], -weights[0]
    if op.masked:
        outside[[0, -1]] = False
        flat[outside] = 0
    return (x,)


def named(label, inputs, features, windows, pe, simd, rtl=SLOW, **attributes):
    """A case with a name, and the largest multipliers that there are."""
    made = case(inputs, features, pe, simd, windows, rtl=rtl, label=label, **attributes)
    made.draw = votes.extreme_constants
    return made


def random_case(seed):
    rng = np.random.default_rng(seed)
    simd, beats, pe, passes, windows = (int(rng.integers(1, limit)) for limit in (65, 7, 6, 4, 12))
    divisor = int(rng.choice([group for group in range(1, simd + 1) if simd % group == 0]))
    voters = [{"masked": 1}, {"masked": 0}, {"group": divisor}, {"group": simd * int(rng.integers(1, beats + 2))}]
    activations = [
        {"threshold": int(rng.integers(-3, 4))},
        THRESHOLD,
        {**SUM, "out_bits": (simd * beats).bit_length() + 1},
        {**SCALE, "out_bits": 1 + seed % 32, "shift": seed},
    ]
    attributes = {**voters[seed % 4], **activations[rng.integers(4)], "group_threshold": int(rng.integers(-2, 4))}
    pe, features = pe if pe * passes > 1 else 1, max(2, pe * passes)
    made = named(f"random_{seed}", simd * beats, features, windows, pe, simd, **attributes)
    made.rtl = SLOW if buildable(made) else False
    return made


def buildable(made) -> bool:
    """Is there a module for it? Not where all groups vote the same."""
    try:
        made.op.rtl(*made.constants)
    except NodeError:
        return False
    return True


class TestXnorPopcount(NodeTests):
    cases = [
        case(6, 3, 1, 2, 40),
        case(12, 6, 6, 12, 100, rtl=SLOW),  # one beat, one pass
        case(18, 4, 1, 18, 40),  # one beat, many passes
        case(20, 5, 5, 4, 40, rtl=SLOW),  # many beats, one pass
        case(27, 6, 2, 9, 40, threshold=-9),
        case(576, 64, 2, 32, 4),
        case(576, 16, 4, 192, 30, WideBeats, SLOW, hls=False),
        case(4608, 512, 4, 64, 2, rtl=SLOW),
        # masks, groups and activations
        case(27, 6, 2, 9, masked=1),  # halves of odd beats
        case(36, 6, 3, 4, masked=1, threshold=2, rtl=SLOW),
        case(18, 4, 1, 18, masked=1, rtl=SLOW),  # one beat
        case(7, 6, 6, 7, **THRESHOLD),  # 8, which is never reached, has a bit more than a count
        case(36, 8, 2, 6, **THRESHOLD, rtl=SLOW),
        case(27, 6, 3, 3, **THRESHOLD, masked=1, rtl=SLOW),
        case(36, 8, 2, 12, **SCALE, shift=4, out_bits=8),
        case(27, 6, 6, 27, **SCALE, shift=0, out_bits=4, rtl=SLOW),  # saturates; one beat, one pass
        case(27, 6, 1, 9, **SCALE, shift=7, out_bits=20, masked=1, rtl=SLOW),
        case(12, 6, 2, 4, **SCALE, shift=40, out_bits=8),  # only the sign is left
        case(36, 8, 4, 6, **SUM, out_bits=7, rtl=SLOW),
        case(31, 3, 1, 31, **SUM, out_bits=12),
        case(27, 6, 2, 9, **SUM, out_bits=6, masked=1, rtl=SLOW),
        case(27, 6, 2, 9, group=3),
        case(54, 6, 2, 18, group=3, group_threshold=1, threshold=2, rtl=SLOW),
        case(36, 4, 2, 12, group=4, group_threshold=2, rtl=SLOW),  # groups that tie
        case(48, 4, 4, 24, group=12),  # too large for a table
        case(12, 4, 2, 4, group=1, rtl=SLOW),
        case(27, 6, 3, 9, group=9, rtl=SLOW),  # a beat a group
        case(54, 6, 2, 3, group=9, rtl=SLOW),
        case(36, 6, 2, 4, group=8),  # a short last group
        case(44, 4, 1, 4, group=12, group_threshold=-3, threshold=2, rtl=SLOW),
        case(44, 4, 1, 4, group=12, group_threshold=12),  # more than the 8 of the short group can reach
        case(12, 4, 2, 4, group=32, rtl=SLOW),  # one short group
        case(27, 6, 2, 9, group=3, **THRESHOLD, rtl=SLOW),
        case(36, 6, 2, 4, group=8, **SUM, out_bits=4, rtl=SLOW),
        case(27, 6, 2, 9, group=3, **SCALE, shift=3, out_bits=6, rtl=SLOW),
        # groups of a convolution, beside groups that vote
        case(36, 12, 2, 6, conv_groups=3),
        case(36, 6, 3, 9, conv_groups=2, group=3, rtl=SLOW),  # a pass a group
        case(24, 8, 1, 12, **THRESHOLD, conv_groups=2, masked=1, rtl=SLOW),  # a beat a group
        case(24, 8, 2, 4, **SCALE, shift=4, out_bits=8, conv_groups=2, rtl=SLOW),
        case(27, 6, 2, 9, **SCALE, shift=2, out_bits=6, even=1),
        named("exact", 9, 4, 5, 2, 1),
        named("ties", 36, 6, 7, 6, 12),
        named("one_beat", 9, 3, 4, 3, 9, threshold=1),
        named("always", 9, 2, 4, 1, 1, rtl=False, threshold=-9),
        named("never", 9, 2, 4, 1, 1, rtl=False, threshold=10),
        named("wide", 576, 64, 8, 64, 64, threshold=4),
        named("masked", 144, 16, 16, 4, 16, masked=1),
        named("masked_odd", 45, 4, 40, 2, 5, masked=1),
        named("masked_bits", 9, 4, 16, 1, 1, masked=1, threshold=2),
        named("masked_65_bits", 576, 16, 8, 4, 64, masked=1),
        named("channel_thresholds", 36, 6, 9, 2, 12, **THRESHOLD),
        named("masked_thresholds", 45, 6, 9, 3, 15, **THRESHOLD, masked=1),
        named("scale", 36, 6, 9, 3, 12, **SCALE, out_bits=9, shift=6),
        named("scale_to_32_bits", 36, 6, 9, 1, 4, **SCALE, out_bits=32, shift=0),
        named("scale_away", 36, 4, 9, 2, 4, **SCALE, out_bits=8, shift=63),
        named("scale_masked", 45, 6, 9, 2, 9, **SCALE, out_bits=20, shift=3, masked=1),
        named("sums", 64, 4, 9, 2, 16, **SUM, out_bits=8),
        named("masked_sums", 63, 4, 9, 2, 21, **SUM, out_bits=7, masked=1),
        named("groups_of_1", 36, 4, 9, 2, 12, group=1, group_threshold=0),
        named("groups_of_2", 40, 4, 9, 2, 20, group=2),
        named("groups_of_2_ties_lose", 40, 4, 9, 2, 20, group=2, group_threshold=1),
        named("groups_of_3", 45, 4, 20, 2, 15, group=3),
        named("groups_of_3_all_three", 63, 4, 20, 2, 63, group=3, group_threshold=2, threshold=-10),
        named("groups_of_3_never", 45, 2, 9, 2, 15, rtl=False, group=3, group_threshold=4, threshold=-15),
        named("groups_of_3_always", 45, 2, 9, 2, 15, rtl=False, group=3, group_threshold=-3, threshold=15),
        named("groups_of_3_in_beats_of_1", 18, 4, 9, 2, 1, group=3),
        named("groups_of_8", 48, 4, 20, 2, 16, group=8, group_threshold=2, threshold=1),
        named("groups_of_9", 81, 4, 20, 2, 27, group=9),
        named("groups_of_9_in_beats_of_3", 81, 4, 20, 2, 3, group=9, group_threshold=1, threshold=1),
        named("groups_of_32", 192, 4, 20, 2, 64, group=32),
        named("groups_of_64", 128, 4, 20, 2, 64, group=64, threshold=1),
        named("short_last_group", 144, 4, 20, 2, 16, group=64, group_threshold=2, threshold=1),
        named("short_last_group_of_one_beat", 10, 4, 20, 2, 2, group=4, group_threshold=-1),
        named("one_short_group", 9, 4, 9, 2, 3, group=12),
        named("groups_then_thresholds", 90, 4, 20, 2, 30, group=3, **THRESHOLD),
        *map(random_case, range(20)),
        named("fast", 576, 64, 1024, 4, 64, rtl=False),
        named("fast_masked", 576, 64, 1024, 4, 64, rtl=False, masked=1),
        named("fast_thirds", 576, 64, 1024, 4, 48, rtl=False, group=3),
        named("fast_windows", 576, 64, 1024, 4, 36, rtl=False, group=9),
        named("fast_group_of_64", 576, 64, 1024, 4, 64, rtl=False, group=64),
    ]
    resets = (0.3, 0.5, 0.8)
    reached = False  # test_bounds_are_reached

    @staticmethod
    def reference(op, streams, constants):
        return votes.reference(op, streams[0], *constants)

    def check_rate(self, rtl):
        """No cycle is lost between passes and windows."""
        plain = rtl.case.op.activation == "majority_vote" and not rtl.case.op.group and not rtl.case.op.masked
        assert rtl.check().cycles <= rtl.case.frames * rtl.case.op.cycles() + PIPELINE + (not plain)

    def test_hls_simulates_fast(self, hls_case, hls):
        """64 -> 64 channels, 3x3 on 32x32: 150 (groups of 9) to 1,000 frames/s on a quiet core, 12 by a bit loop."""
        if str(hls_case).startswith("fast"):
            assert hls[hls_case.identifier].frames_per_second > 30


@st.composite
def any_case(draw):
    inputs, features = draw(st.integers(1, 20)), draw(st.integers(1, 4))
    voter = draw(st.sampled_from([{}, {"masked": 1}, {"group": draw(st.integers(1, 24))}]))
    activation = draw(
        st.sampled_from(
            [
                {"threshold": draw(st.integers(-5, 5))},
                THRESHOLD,
                {**SUM, "out_bits": 6},
                {**SCALE, "shift": draw(st.integers(0, 12)), "out_bits": draw(st.integers(2, 12))},
            ]
        )
    )
    group_threshold = draw(st.integers(-3, 3))
    return case(inputs, features, 1, 1, draw(st.integers(2, 4)), **voter, **activation, group_threshold=group_threshold)


test_any_shape = any_shape(TestXnorPopcount, any_case())


@pytest.mark.parametrize("node", [c for c in TestXnorPopcount.cases if not c.op.group], ids=str)
def test_bounds_are_reached(node):
    """By the windows that equal the weights of an output, and by their opposites."""
    op, (weights, *others) = node.op, node.constants
    sides = [
        op.evaluate(side[None, None], weights, *others)[0, 0] for side in np.tile((weights, -weights), op.conv_groups)
    ]
    reached = np.stack([np.diagonal(side) for side in sides])
    interval = np.full(op.channels, -1), np.full(op.channels, 1)
    ((low, high),) = op.bounds([interval], node.constants)
    np.testing.assert_array_equal(reached.min(axis=0), low)
    np.testing.assert_array_equal(reached.max(axis=0), high)


@pytest.mark.parametrize("node", TestXnorPopcount.cases[:4], ids=str)
def test_ties_vote_plus_one(node):
    """The data has windows that half of every output's weights agree with; of an even number that is a tie."""
    windows, weights = node.streams[0][0, 0, 1:3], node.constants[0]
    sums = windows @ weights.T
    assert (np.abs(sums) <= 1).all()
    assert (sums == 0).all() == (node.op.channels % 2 == 0)
    assert (node.outputs[0][0, 0, 1:3][sums == 0] == 1).all()


# with its window


def sums_by_torch(x, weights, stride, padding, pad_value, dilation):
    """[N, OH, OW, O] of x [N, H, W, C] and weights [O, KH, KW, C]; padding (top, left, bottom, right)."""
    top, left, bottom, right = padding
    images = torch.tensor(x).permute(0, 3, 1, 2).double()
    images = torch.nn.functional.pad(images, (left, right, top, bottom), value=pad_value)
    weights = torch.tensor(weights).permute(0, 3, 1, 2).double()
    sums = torch.nn.functional.conv2d(images, weights, stride=stride, dilation=dilation)
    return sums.permute(0, 2, 3, 1).numpy()


SQUARE = [
    ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    ((3, 3), (2, 2), (0, 0, 0, 0), (1, 1)),
    ((1, 1), (2, 2), (0,) * 4, (1, 1)),
]
OTHERS = [
    ((2, 3), (1, 2), (1, 0, 0, 2), (1, 1)),
    ((3, 2), (2, 1), (0, 1, 1, 1), (1, 2)),
    ((1, 3), (1, 1), (0, 1, 0, 1), (1, 1)),
]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(3, 6),
    st.integers(3, 6),
    st.sampled_from([1, 2, 3, 5, 8, 16]),
    st.sampled_from([*SQUARE, *OTHERS]),
    st.sampled_from([-1, 0, 1]),
    st.integers(-4, 4),
)
def test_binary_convolution(height, width, channels, shape, pad_value, threshold):
    """SlidingWindow and XnorPopcount, and WeightStationary which is both where windows are square, for every way of
    padding, in both forms."""
    kernel, stride, padding, dilation = shape
    features = 4
    x = random_signs(channels, 2, height, width, channels)
    weights = random_signs(kernel[0], features, *kernel, channels)
    geometry = {"height": height, "width": width, "channels": channels, "kernel": kernel}
    geometry |= {"stride": stride, "padding": padding, "dilation": dilation, "pad_value": pad_value}
    vote = {"features": features, "threshold": threshold}
    window = hardware_op("SlidingWindow", bits=1, **geometry)
    (stream,) = window.outputs()
    size = {"height": stream.height, "width": stream.width, "channels": stream.channels}
    engine = hardware_op("XnorPopcount", **size, masked=int(stream.masked), **vote)
    expected = np.where(sums_by_torch(x, weights, stride, padding, pad_value, dilation) >= threshold, 1, -1)
    rows = weights.reshape(features, -1)
    assert engine.inputs() == [stream]
    np.testing.assert_array_equal(engine.evaluate(window.evaluate(x), rows), expected)
    np.testing.assert_array_equal(engine.quick(rows)(window.quick()(x)), expected)
    assert window.square == engine.absorbs(window) == (shape in SQUARE)
    if window.square:
        stationary = hardware_op("WeightStationary", bits=1, **geometry, **vote)
        np.testing.assert_array_equal(stationary.evaluate(x, rows), expected)
        np.testing.assert_array_equal(stationary.quick(rows)(x), expected)


# what the plan asks


@pytest.mark.parametrize(
    ("activation", "bits"), [("majority_vote", 1), ("threshold", 1), ("popcount_scale", 9), ("sum", 9)]
)
def test_streams_cycles_and_operations(activation, bits):
    shape = {"height": 4, "width": 3, "channels": 36, "features": 8, "pe": 2, "simd": 6}
    op = hardware_op("XnorPopcount", **shape, activation=activation, out_bits=9)
    assert op.inputs() == [Stream(4, 3, 36, 6, 1)]
    assert op.outputs() == [Stream(4, 3, 8, 2, bits)]
    assert op.cycles() == 12 * 4 * 6  # pixels, passes, beats of a window
    assert op.engine and op.streamable
    multiplications = {"popcount_mul": 12 * 8} if activation == "popcount_scale" else {}
    assert op.operations() == {"binary_mac": 12 * 8 * 36} | multiplications


# refusals

FIT = "groups of 8 do not fit 12 inputs a beat: set simd to a multiple or a divisor of 8"
OUTSIDE = "groups of 3 have no majority outside the map: pad with -1 or +1, or set group to 0"
BOTH = [
    ({"group": 8}, FIT),
    ({"group": 9}, "groups of 9 do not fit 12 inputs a beat: set simd to a multiple or a divisor of 9"),
    ({"group": 3, "masked": 1}, OUTSIDE),
    ({"pe": 3}, "pe 3 must divide its 4 outputs"),
    ({"simd": 5}, "simd 5 must divide its 36 inputs"),
    ({"channels": 128, "simd": 128}, "simd 128 is above 64: lower simd in the plan"),
    ({**SUM, "out_bits": 6}, "sums of 36 signs on 6 bits: set out_bits to 7..32"),
    ({**SUM, "out_bits": 33}, "sums of 36 signs on 33 bits: set out_bits to 7..32"),
]
RTL_ONLY = [
    ({"group": 3, "group_threshold": 4}, "with a group_threshold of 4 all groups of 3 vote the same"),
    ({"group": 3, "group_threshold": -3}, "with a group_threshold of -3 all groups of 3 vote the same"),
    ({"group": 3, "threshold": 13}, "with a threshold of 13 all sums of 12 signs vote the same"),
    ({"threshold": 37}, "with a threshold of 37 all sums of 36 signs vote the same"),
    ({"threshold": -36}, "with a threshold of -36 all sums of 36 signs vote the same"),
    ({"threshold": -36, "masked": 1}, "with a threshold of -36 all sums of 36 signs vote the same"),
    (
        {"activation": "relu"},
        "there is no activation relu: use majority_vote, threshold, popcount_scale, sum",
    ),
]
HLS_ONLY = [
    ({"activation": "relu"}, "there is no activation relu"),
    ({**SCALE, "out_bits": 33}, "out_bits 33, shift 0: HLS takes at most 32 bits and shifts of 0..63"),
    ({**SCALE, "out_bits": 8, "shift": 64}, "out_bits 8, shift 64: HLS takes at most 32 bits and shifts of 0..63"),
]
REFUSED = [
    *((emit, *rest) for emit in (cell_of, call_of) for rest in BOTH),
    *((cell_of, *rest) for rest in RTL_ONLY),
    *((call_of, *rest) for rest in HLS_ONLY),
]


@pytest.mark.parametrize(("emit", "attributes", "message"), REFUSED)
def test_refuses(emit, attributes, message):
    attributes = {"channels": 36, "features": 4, "pe": 2, "simd": 12, **attributes}
    constants = votes.constants(hardware_op("XnorPopcount", **attributes), np.random.default_rng(1))
    assert_refused(emit, message, "XnorPopcount", *constants, **attributes)


@pytest.mark.parametrize(
    ("multiplier", "offset", "message"),
    [
        (
            1 << 31,
            0,
            "multipliers 2147483648..2147483648 do not fit int32_t: the HLS headers take no more bits",
        ),
        (
            1 << 30,
            (1 << 63) - 1,
            f"multiplier * sum + offset reaches {(1 << 36) + (1 << 63) - 1}, beyond 64 bits: scale both down",
        ),
    ],
)
def test_hls_refuses_constants(multiplier, offset, message):
    attributes = {"channels": 64, "features": 4, "simd": 64, **SCALE, "out_bits": 8, "shift": 9}
    constants = random_signs(1, 4, 64), np.full(4, multiplier), np.full(4, offset)
    assert_refused(call_of, message, "XnorPopcount", *constants, **attributes)


def test_rtl_refuses_weights_that_are_no_signs():
    message = "weights of one bit are -1 and +1, not 0..1"
    assert_refused(cell_of, message, "XnorPopcount", [[0, 1]], channels=2, features=1)


def test_a_group_of_zeros_has_no_majority():
    op = hardware_op("XnorPopcount", channels=3, features=1, group=3)
    message = "node: a grouped voter cannot take windows padded with zeros: pad with -1 or +1"
    with pytest.raises(NodeError) as caught:
        op.evaluate(np.zeros((1, 1, 1, 3), int), np.ones((1, 3), int))
    assert str(caught.value) == message
    window = hardware_op("SlidingWindow", height=3, width=3, kernel=3, padding=1, bits=1).quick()
    layer = hardware_op("XnorPopcount", height=3, width=3, channels=9, features=1, group=3).quick(np.ones((1, 9), int))
    with pytest.raises(NodeError) as caught:
        layer(window(np.ones((1, 3, 3, 1), int)))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("attributes", "header"),
    [
        ({}, "majority_vote.hpp"),
        (THRESHOLD, "threshold.hpp"),
        ({**SCALE, "out_bits": 8, "shift": 3}, "popcount_scale.hpp"),
        ({**SUM, "out_bits": 8}, "sum.hpp"),
    ],
)
def test_a_call_includes_its_activation_only(attributes, header):
    assert call_of(case(64, 4, 1, 64, **attributes).node).headers == {"xnor_popcount.hpp", header}


FOLDED = {"Inputs": 36, "Outputs": 4, "Pe": 2, "Simd": 12, "Threshold": 6}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Inputs": 20, "Outputs": 5, "Pe": 4, "Simd": 5}, "Pe 4 does not divide"),
        ({"Inputs": 20, "Outputs": 5, "Pe": 5, "Simd": 3}, "Simd 3 does not divide"),
        ({"Group": 18, "Threshold": 1}, "Group 18 is neither a multiple of Simd 12 nor does it divide it"),
        ({"Group": 3, "GroupThreshold": 4}, "with GroupThreshold 4 all groups of 3 vote the same"),
        ({"Group": 3, "Masked": 1}, "a group outside the map has no majority: pad with -1 or [+]1"),
        ({"Activation": "relu"}, "relu is none of majority_vote, threshold, popcount_scale, sum"),
        ({"Activation": "sum", "OutBits": 6}, "sums of 36 signs do not fit 6 bits"),
    ],
)
def test_the_module_refuses(tmp_path, changes, message):
    parameters = {**FOLDED, "WeightFile": "weights.hex", "ThresholdFile": "thresholds.hex", **changes}
    inputs = {"in": parameters["Simd"] + parameters.get("Masked", 0)}
    outputs = {"out": parameters["Pe"] * parameters.get("OutBits", 1)}
    assert_module_refuses(message, "xnor_popcount", parameters, inputs, outputs, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Group": 5}, "Group must be a multiple or a divisor of Simd"),
        ({"Group": 18}, "Group must be a multiple or a divisor of Simd"),
        ({"Group": 4, "Masked": 1}, "a group outside the map has no majority"),
    ],
)
def test_the_header_refuses(tmp_path, changes, message):
    call = call_of(case(36, 6, 6, 12, 7).node)
    parameters = {**call.parameters, **changes}
    inputs = {"in": parameters["Simd"] + parameters["Masked"]}
    weights = call.tables[0].ctype, call.tables[0].values.shape
    headers = ("majority_vote", "xnor_popcount")
    assert_header_refuses(message, headers, tuple(parameters.values()), tmp_path, inputs, {"out": 6}, weights=weights)

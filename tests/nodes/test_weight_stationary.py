"""flow/nodes/weight_stationary.py, rtl/weight_stationary.sv and hls/weight_stationary.hpp."""

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import Stream
from flow.nodes.weight_stationary import WeightStationary
from tests.nodes import votes
from tests.nodes.harness import SLOW, Case, NodeTests, Rtl, any_shape, hardware_op
from tests.nodes.refusals import assert_module_refuses, assert_refused

SCALE = {"activation": "popcount_scale"}
SUM = {"activation": "sum"}
THRESHOLD = {"activation": "threshold"}


class AnyWords(WeightStationary):
    """With words and maps that DDR or the plan have no use for, which module and header do not mind."""

    def why_not(self):
        return self.misfit()


def case(height, width, channels, features, kernel, stride, padding, pe, simd, rtl=True, frames=5, label="", **options):
    """``WeightStationary`` where it takes this; else `AnyWords`, and not in HLS."""
    attributes = {"height": height, "width": width, "channels": channels, "features": features, "kernel": kernel}
    attributes |= {"stride": stride, "padding": padding, "pe": pe, "simd": simd, "bits": 1, "pad_value": -1, **options}
    sizes = f"{height}x{width}x{channels}-{features}-k{kernel}s{stride}p{padding}-pe{pe}-simd{simd}"
    label = label or "-".join([sizes, *(f"{name}_{value}" for name, value in options.items())])
    whole = hardware_op("WeightStationary", **attributes).why_not() is None
    kind = "WeightStationary" if whole else AnyWords
    return Case(kind, attributes, votes.constants, frames=frames, rtl=rtl, hls=whole, label=label)


def named(label, *sizes, **options):
    """A case with a name and the largest multipliers, in HLS whatever its words."""
    made = case(*sizes, rtl=options.pop("rtl", SLOW), frames=options.pop("frames", 3), label=label, **options)
    made.draw, made.hls = votes.extreme_constants, True
    return made


class TestWeightStationary(NodeTests):
    cases = [
        case(8, 8, 256, 6, 3, 2, 1, 2, 32, rtl=SLOW),  # the first of stage 4, fewer outputs
        case(4, 4, 512, 8, 3, 1, 1, 2, 64, rtl=SLOW),  # the others
        case(6, 5, 32, 12, 3, 1, 1, 4, 8),
        case(5, 7, 12, 3, 3, 2, 0, 3, 4, rtl=SLOW),  # one pass a frame, no padding
        case(2, 4, 8, 10, 3, 2, 1, 1, 8),  # two pixels; one word a tap
        case(4, 4, 16, 2, 1, 1, 0, 2, 16, rtl=SLOW),  # one word a frame
        case(9, 9, 8, 4, 5, 3, 2, 2, 4),
        # padding, groups and activations
        case(5, 4, 8, 6, 3, 1, 1, 2, 4, rtl=SLOW, pad_value=0),
        case(5, 6, 9, 4, 3, 2, 1, 2, 3, pad_value=0, threshold=-2),  # halves of odd beats
        case(3, 3, 5, 6, 5, 1, 2, 3, 5, rtl=SLOW, pad_value=0),  # one word a tap
        case(5, 4, 8, 6, 3, 1, 1, 2, 4, rtl=SLOW, pad_value=1),
        case(4, 4, 8, 6, 3, 1, 0, 2, 4, rtl=SLOW, pad_value=0),  # nothing to mask
        case(4, 5, 7, 6, 1, 1, 0, 6, 7, **THRESHOLD),  # 8, never reached; one word a frame
        case(5, 4, 8, 8, 3, 2, 1, 2, 4, rtl=SLOW, **THRESHOLD),
        case(5, 4, 6, 8, 3, 1, 1, 4, 3, rtl=SLOW, pad_value=0, **THRESHOLD),
        case(5, 4, 8, 8, 3, 1, 1, 2, 4, **SCALE, shift=5, out_bits=7),
        case(5, 4, 8, 8, 3, 1, 1, 2, 4, **SCALE, shift=2, out_bits=7, even=1, rtl=SLOW),
        case(4, 4, 6, 6, 3, 1, 1, 1, 6, rtl=SLOW, pad_value=0, **SCALE, shift=3, out_bits=16),
        case(4, 3, 8, 6, 1, 1, 0, 3, 8, **SCALE, shift=0, out_bits=5),  # one word a pass
        case(5, 4, 8, 4, 3, 1, 1, 2, 4, rtl=SLOW, **SUM, out_bits=8),
        case(4, 4, 6, 6, 3, 1, 1, 3, 3, rtl=SLOW, pad_value=0, **SUM, out_bits=9),
        case(5, 4, 6, 6, 3, 1, 1, 2, 6, group=3),
        case(5, 4, 12, 6, 3, 1, 1, 2, 6, rtl=SLOW, group=2, group_threshold=2, threshold=2),
        case(4, 4, 8, 4, 3, 1, 1, 2, 4, rtl=SLOW, group=8, group_threshold=1),
        case(4, 4, 8, 4, 3, 1, 1, 2, 4, group=16),  # a short last group
        case(4, 5, 6, 6, 3, 1, 1, 3, 2, rtl=SLOW, group=20, group_threshold=-3, **THRESHOLD),
        named("one_pixel", 1, 1, 8, 8, 1, 1, 0, 2, 4, rtl=True),
        named("narrow_words", 2, 2, 8, 8, 1, 1, 0, 2, 4),  # 8-bit weight words out of 64-bit DDR words
        named("wide_words", 8, 8, 64, 4, 3, 2, 1, 2, 64),  # 128-bit weight words
        named("even_kernel", 5, 6, 4, 16, 2, 2, 0, 16, 4, threshold=2),
        named("minus_one", 5, 3, 8, 16, 3, 1, 1, 2, 8, pad_value=-1),
        named("plus_one", 5, 3, 8, 16, 3, 1, 1, 2, 8, pad_value=1),
        named("zero", 5, 3, 8, 16, 3, 1, 1, 2, 8, pad_value=0),
        named("zero_odd", 2, 3, 3, 64, 3, 2, 2, 4, 1, pad_value=0, threshold=1),
        named("large", 4, 4, 512, 64, 3, 1, 1, 1, 64, frames=2),
        named("large_folded", 4, 4, 512, 64, 3, 1, 1, 8, 32, frames=2, pad_value=0),
        named("thresholds", 4, 3, 8, 16, 3, 1, 1, 4, 4, **THRESHOLD, pad_value=0),
        named("stationary_scale", 4, 3, 8, 16, 3, 1, 1, 4, 4, **SCALE, out_bits=9, shift=6, pad_value=0),
        named("scale_to_32_bits", 4, 3, 8, 16, 3, 2, 1, 16, 4, **SCALE, out_bits=32, shift=2),
        named("sums", 4, 3, 8, 16, 3, 1, 1, 4, 8, **SUM, out_bits=8, pad_value=0),
        named("stationary_groups_of_2", 4, 4, 8, 16, 3, 1, 1, 4, 8, group=2, group_threshold=1),
        named("groups_of_3", 4, 4, 12, 64, 3, 1, 1, 32, 6, group=3, pad_value=1),
        named("groups_of_64", 4, 4, 64, 8, 3, 1, 1, 2, 64, group=64, group_threshold=2, threshold=1),
        named("stationary_short_last_group", 3, 4, 16, 16, 3, 1, 1, 4, 8, group=64, group_threshold=2, threshold=1),
        named("groups_without_padding", 4, 4, 8, 16, 2, 2, 0, 4, 4, group=8, pad_value=0),
        named("groups_then_thresholds", 4, 4, 8, 16, 3, 1, 1, 4, 2, group=6, **THRESHOLD),
    ]
    resets = (0.4, 1.1, 1.9, 2.7)
    reached = False  # maps hold few of the windows that do

    @staticmethod
    def reference(op, streams, constants):
        """Windows by slices of a padded map."""
        (x,), border, kernel, stride = streams, op.padding[0], op.kernel[0], op.stride[0]
        padded = np.full((len(x), op.height + 2 * border, op.width + 2 * border, op.channels), op.pad_value)
        padded[:, border : border + op.height, border : border + op.width] = x
        tops, lefts = (np.arange(0, side - kernel + 1, stride) for side in (padded.shape[1], padded.shape[2]))
        taps = [padded[:, tops + r][:, :, lefts + k] for r in range(kernel) for k in range(kernel)]
        return votes.reference(op, np.concatenate(taps, axis=-1), *constants)

    def check_rate(self, rtl):
        """No cycle is lost between words, passes or frames.

        Only the first map and the last votes stand beside the intervals, and, where a pass is a word, the wait while
        both maps of votes are in use until the first one has drained.
        """
        op, frames = rtl.case.op, rtl.case.frames
        waits = 4 * (op.synapses == op.simd)
        fill_and_drain = op.inputs()[0].beats + op.outputs()[0].beats + 12
        cycles = rtl.check().cycles
        assert cycles <= frames * (op.cycles() + waits) + fill_and_drain
        if frames > 3:
            assert cycles - rtl.check(frames - 2).cycles <= 2 * (op.cycles() + waits)


@st.composite
def any_case(draw):
    size = draw(st.integers(3, 5)), draw(st.integers(3, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    kernel = draw(st.integers(1, 3))
    geometry = kernel, draw(st.integers(1, 2)), draw(st.integers(0, kernel - 1)), 1, 1
    voter = draw(st.sampled_from([{"pad_value": 0}, {"pad_value": 1}, {"pad_value": -1, "group": 3}, {"group": 7}]))
    activation = draw(
        st.sampled_from([{"threshold": 1}, THRESHOLD, {**SUM, "out_bits": 7}, {**SCALE, "shift": 3, "out_bits": 6}])
    )
    return case(*size, *geometry, frames=2, **voter, **activation)


test_any_shape = any_shape(TestWeightStationary, any_case())


def test_any_threshold(tmp_path):
    """Counts of 1, 30 and all 72: sums of 2 * count - 72."""
    for count in (1, 30, 72):
        folder = tmp_path / str(count)
        folder.mkdir()
        rtl = Rtl(case(2, 4, 8, 10, 3, 2, 1, 1, 8, threshold=2 * count - 72), folder)
        assert rtl.cell.parameters["Threshold"] == count
        rtl.check()


def test_weight_words_at_random(tmp_path):
    """Words that come at random, twice as often as they are used up, are mostly there in time: one is fetched ahead."""
    rtl = Rtl(case(4, 4, 512, 8, 3, 1, 1, 2, 64), tmp_path)
    op = rtl.case.op
    run = rtl.check(frames=3, p_valid=2 / op.out_pixels)
    assert run.cycles <= 1.2 * 3 * op.cycles() + 8 * op.inputs()[0].beats


def test_resets_of_the_largest(tmp_path):
    rtl = Rtl(case(8, 8, 256, 6, 3, 2, 1, 2, 32), tmp_path)
    op = rtl.case.op
    for part in (0.4, 1.1, 2.7):
        reset_at = int(part * op.cycles()) + op.inputs()[0].beats
        rtl.check(frames=3, seed=1, p_valid=0.9, p_ready=0.8, reset_at=reset_at)


def test_streams_and_words():
    op = hardware_op("WeightStationary", height=5, width=4, channels=8, kernel=3, features=16, pe=4, simd=8, bits=1)
    assert op.inputs() == [Stream(5, 4, 8, 8, 1)]
    assert op.outputs() == [Stream(3, 2, 16, 4, 1)]
    assert op.cycles() == 4 * 9 * 6  # passes, words a pass, pixels
    assert op.ddr_words == 72 * 16 // 64
    assert op.lag() == 2
    weights = votes.constants(op, np.random.default_rng(1))[0]
    assert len(op.ddr_weights(weights)) == 8 * op.ddr_words


# refusals

GROUPS = "groups of 4 have no majority outside the map: pad with -1 or +1, or set group to 0"
WORDS = (
    "weights from DDR need pe * simd to divide 64 or be a multiple of it, not {}, "
    "and to be whole 64-bit words, not {} bits"
)
REFUSED = [
    ({"pad_value": 3}, "a binary map is padded with -1, 0 or +1, not 3"),
    ({"pad_value": 0, "group": 4}, GROUPS),
    ({"group": 3}, "groups of 3 do not fit 4 inputs a beat: set simd to a multiple or a divisor of 3"),
    ({"group": 24, "simd": 16}, "groups of 24 do not fit 16 inputs a beat: set simd to a multiple or a divisor of 24"),
    ({**SUM, "out_bits": 8}, "sums of 144 signs on 8 bits: set out_bits to 9..32"),
    ({"channels": 128, "simd": 128}, "simd 128 is above 64: lower simd in the plan"),
    ({"simd": 32}, "simd 32 must divide its 144 inputs"),
    ({"features": 6}, WORDS.format(8, 864)),
    ({"channels": 12, "features": 64, "pe": 4, "simd": 6}, WORDS.format(24, 6912)),
    (
        {"height": 1, "width": 3, "channels": 64, "simd": 64},
        "with 3 output pixels a word of weights has at most 96 bits, not 128: lower pe or simd",
    ),
    (
        {"kernel": (3, 5)},
        "it gathers square windows, not kernel (3, 5), stride (1, 1), padding (1, 1, 1, 1), dilation (1, 1)",
    ),
    (
        {"dilation": 2},
        "it gathers square windows, not kernel (3, 3), stride (1, 1), padding (1, 1, 1, 1), dilation (2, 2)",
    ),
]


@pytest.mark.parametrize("emit", [cell_of, call_of])
@pytest.mark.parametrize(("attributes", "message"), REFUSED)
def test_refuses(emit, attributes, message):
    shape = {"height": 5, "width": 4, "channels": 16, "features": 4, "pe": 2, "simd": 4, "bits": 1}
    attributes = {**shape, "kernel": 3, "padding": 1, "pad_value": -1, **attributes}
    op = hardware_op("WeightStationary", **attributes)
    constants = votes.constants(op, np.random.default_rng(1))
    assert_refused(emit, message, "WeightStationary", *constants, **attributes)


FOLDED = {"Height": 5, "Width": 4, "Channels": 8, "Outputs": 4, "Kernel": 3, "Stride": 1, "Padding": 1, "Pe": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PadValue": 2}, "PadValue is 2, must be -1, 0 or 1"),
        ({"PadValue": 0, "Group": 4}, "a group outside the map has no majority: pad with -1 or [+]1"),
        ({"Group": 18, "Threshold": 1}, "Group 18 is neither a multiple of Simd 4 nor does it divide it"),
    ],
)
def test_the_module_refuses(changes, message):
    parameters = {**FOLDED, "Simd": 4, "Threshold": 3, **changes}
    inputs = {"in": parameters["Simd"], "weight": 2 * parameters["Simd"]}
    assert_module_refuses(message, "weight_stationary", parameters, inputs, {"out": 2})


@pytest.mark.parametrize("height, width", [(4, 4), (1, 16)])
def test_a_map_whose_elements_are_the_channels_of_one_pixel(height, width):
    """As a dense layer behind a Flatten reads it, whose window is a wire."""
    op = hardware_op(
        "WeightStationary", channels=48, features=8, kernel=1, bits=1, pad_value=-1, pe=4, simd=16, **THRESHOLD
    )
    rng = np.random.default_rng(0)
    x, weights = rng.choice([-1, 1], (3, height, width, 3)), rng.choice([-1, 1], (8, 48)).astype(np.int8)
    constants = weights, *votes.constants(op, rng)[1:]
    row = x.reshape(3, 1, 1, 48)
    expected = op.evaluate(row, *constants)
    assert np.ptp(expected)
    for found in (op.evaluate(x, *constants), op.quick(*constants)(x), op.quick(*constants)(row)):
        np.testing.assert_array_equal(found, expected)

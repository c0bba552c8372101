"""flow/nodes/int_stationary.py, rtl/int_stationary.sv (with output_maps) and hls/int_stationary.hpp.

What it computes is what IntConv computes: the cases and their reference are those of tests/nodes/test_int_conv.py, with
other weights in every frame, as the module may keep none.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import NodeError, Stream
from flow.nodes.int_stationary import IntStationary
from tests.nodes import test_int_conv
from tests.nodes.harness import SLOW, NodeTests, Rtl, any_shape, hardware_op
from tests.nodes.refusals import assert_module_refuses, assert_refused


class AnyWords(IntStationary):
    """With words that DDR has no use for, which the module does not mind."""

    def why_not(self):
        return self.misfit()


def streamed(made, **changes):
    """An IntConv's case with weights from DDR; in HLS where its words are DDR's."""
    whole = hardware_op("IntStationary", **made.attributes).why_not() is None
    kind = "IntStationary" if whole else AnyWords
    return replace(made, **{"kind": kind, "hls": whole, "frames": 4, **changes})


def case(*sizes, rtl=True, **how):
    return streamed(test_int_conv.case(*sizes, **how), rtl=rtl)


class TestIntStationary(NodeTests):
    cases = [
        case(4, 6, 6, 4, 10, rtl=SLOW),  # one beat, one pass
        case(6, 3, 1, 6, 7, weight_bits=4, out_bits=20, acc_bits=18, shift=0),  # one beat, many passes
        case(10, 4, 4, 5, 4, bits=5, weight_bits=3, acc_bits=13, shift=5, rtl=SLOW),  # one pass; out = acc - shift
        case(8, 4, 2, 2, 2, weight_bits=2, acc_bits=13, shift=3),  # two windows
        case(16, 8, 2, 2, 1, weight_bits=2, acc_bits=14, shift=3),  # one window: a dense layer
        case(8, 6, 2, 4, 1, weight_bits=4, acc_bits=23, shift=8, multiplier_bits=6, rtl=SLOW),
        case(8, 16, 1, 1, 5, shift=8),  # 8-bit words out of 64-bit DDR words
        case(64, 8, 1, 16, 5, shift=9),  # two ranks of sums
        case(64, 32, 2, 4, 16, shift=12),  # a shortcut, fewer channels
        case(32, 8, 4, 8, 6, rtl=SLOW),  # 256-bit words
        case(512, 8, 1, 8, 4, out_bits=32, acc_bits=26, shift=0, rtl=SLOW),
        case(4, 6, 6, 4, 9, acc_bits=22, shift=10, multiplier_bits=5, rtl=SLOW),  # by multipliers: one word a frame
        case(6, 3, 1, 6, 4, weight_bits=2, out_bits=12, acc_bits=23, shift=8, multiplier_bits=12),
        case(16, 4, 2, 4, 8, out_bits=32, acc_bits=27, shift=0, multiplier_bits=8, rtl=SLOW),  # no saturation
        case(64, 32, 2, 4, 4, acc_bits=40, shift=29, multiplier_bits=18),
        case(32, 16, 2, 8, 5, bits=2, weight_bits=1, out_bits=5, acc_bits=9, shift=1),  # signs as weights
        case(16, 8, 2, 16, 4, bits=8, weight_bits=1, acc_bits=24, shift=6, multiplier_bits=9, rtl=SLOW),
        case(16, 8, 2, 8, 4, bits=1, weight_bits=4, out_bits=6, acc_bits=14, shift=2, masked=1),  # signs as inputs
        case(16, 4, 2, 8, 40, bits=4, weight_bits=4, out_bits=7, acc_bits=14, shift=2, even=1),
        case(16, 4, 2, 4, 40, bits=3, weight_bits=2, out_bits=7, acc_bits=14, shift=2, multiplier_bits=3, even=1),
        streamed(test_int_conv.wide_case(12, 6, 4, 6, 4, 8, 8, 16, 40, 5)),  # a 64-bit accumulator
        streamed(test_int_conv.wide_case(27, 64, 64, 8, 27, 8, 8, 10, 21, 7), frames=2),
        streamed(test_int_conv.wide_case(27, 16, 20, 4, 3, 8, 8, 10, 53, 38, 32)),  # beyond 32 bits
    ]
    resets = (0.4, 1.1, 1.9, 2.7)
    reached = False  # as of IntConv
    reference = staticmethod(test_int_conv.TestIntConv.reference)

    def check_rate(self, rtl):
        """No cycle is lost between words, passes or frames, where results leave faster than they come."""
        op, frames = rtl.case.op, rtl.case.frames
        waits = 4 * (op.synapse_fold == 1)
        fill_and_drain = op.inputs()[0].beats + op.outputs()[0].beats + 14
        cycles = rtl.check().cycles
        assert cycles <= frames * (op.cycles() + waits) + fill_and_drain
        if frames > 3:
            assert cycles - rtl.check(frames - 2).cycles <= 2 * (op.cycles() + waits)


@st.composite
def any_case(draw):
    bits, weight_bits = draw(st.tuples(st.integers(1, 16), st.integers(1, 8)).filter(lambda both: both != (1, 1)))
    shift, out_bits, multiplier_bits = draw(st.integers(0, 12)), draw(st.integers(2, 12)), draw(st.integers(0, 9))
    size = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(2, 6))
    return streamed(
        test_int_conv.wide_case(*size, 1, 1, bits, weight_bits, out_bits, 48, shift, multiplier_bits), frames=2
    )


test_any_shape = any_shape(TestIntStationary, any_case())


def test_weight_words_at_random(tmp_path):
    """Words that come at random, twice as often as they are used up, are mostly there in time: one is fetched ahead."""
    rtl = Rtl(case(64, 32, 2, 4, 16, shift=12), tmp_path)
    op = rtl.case.op
    run = rtl.check(frames=3, p_valid=4 / op.pixels)
    assert run.cycles <= 1.3 * 3 * op.cycles() + 8 * op.inputs()[0].beats


SHAPE = {"height": 4, "width": 4, "channels": 64, "features": 32, "pe": 2, "simd": 4, "acc_bits": 24}


def test_streams_and_words():
    op = hardware_op("IntStationary", **SHAPE)
    assert op.inputs() == [Stream(4, 4, 64, 4, 8)] and op.outputs() == [Stream(4, 4, 32, 2, 8)]
    assert op.cycles() == 16 * 16 * 16  # passes, words a pass, windows
    assert (op.ddr_word_bits, op.ddr_words, op.lag()) == (64, 64 * 32 * 8 // 64, 2)
    weights = np.arange(64 * 32).reshape(32, 64) % 256 - 128
    data = np.frombuffer(op.ddr_weights(weights), np.int8).reshape(-1, 2, 4)  # word, e, i
    np.testing.assert_array_equal(data[3], weights[:2, 12:16])
    np.testing.assert_array_equal(data[16 + 1], weights[2:4, 4:8])


def test_an_int_conv_becomes_one():
    """With the same arithmetic; where it has windows enough and its words are DDR's."""
    conv = hardware_op("IntConv", **SHAPE, shift=3, out_bits=9, scaled=1)
    window = hardware_op("SlidingWindow", height=8, width=8, channels=64, kernel=1, stride=2)
    stationary = conv.from_ddr(window)
    assert stationary.kind == "IntStationary" and conv.worth_ddr()
    assert stationary.values() == {name: value for name, value in conv.values().items() if name != "memory"}
    assert not conv.variant(height=5).worth_ddr()
    with pytest.raises(NodeError, match="with 2 output pixels a word of weights has at most 64 bits, not 128"):
        conv.variant(height=1, width=2, pe=4).from_ddr(window)


REFUSED = [
    (
        {"height": 1, "width": 3, "pe": 4},
        "with 3 output pixels a word of weights has at most 96 bits, not 128: lower pe or simd",
    ),
    ({"conv_groups": 2}, "the weights of a grouped convolution do not come from DDR"),
    (
        {"pe": 1, "channels": 63, "simd": 3},
        "weights from DDR need pe * simd * 8 bits to divide 64 or be a multiple of it, not 24, and to be whole "
        "64-bit words, not 16128 bits",
    ),
    ({"pe": 1, "simd": 24}, "simd 24 must divide its 64 inputs"),
]


@pytest.mark.parametrize("emit", [cell_of, call_of])
@pytest.mark.parametrize(("attributes", "message"), REFUSED)
def test_refuses(emit, attributes, message):
    attributes = {**SHAPE, **attributes}
    weights = np.ones((attributes["features"], attributes["channels"] // attributes.get("conv_groups", 1)), int)
    constants = weights, np.zeros(attributes["features"], int)
    assert_refused(emit, message, "IntStationary", *constants, **attributes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Simd": 3}, "Simd 3 does not divide Inputs 8"),
        ({"Shift": 24}, "Shift 24 is not less than AccBits 24"),
    ],
)
def test_the_module_refuses(changes, message):
    parameters = {"Pixels": 4, "Inputs": 8, "Outputs": 4, "Pe": 2, "Simd": 4, "AccBits": 24, **changes}
    inputs = {"in": 8 * parameters["Simd"], "weight": 16 * parameters["Simd"]}
    assert_module_refuses(message, "int_stationary", parameters, inputs, {"out": 16})

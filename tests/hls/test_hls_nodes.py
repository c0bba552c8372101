"""flow/emit/hls_nodes.py: what the headers of the binary layers do not take is refused by name, with the way out."""

import re

import numpy as np
import pytest

from flow.emit.hls_nodes import call_of
from flow.errors import FlowError
from flow.graph import Node

from .binary import Engine
from .test_sliding_window import Shape
from .test_sliding_window import node as window_node
from .test_weight_stationary import engine as stationary
from .test_xnor_popcount import engine as popcount

SCALE = {"activation": "popcount_scale"}
SUM = {"activation": "sum"}
REFUSED = [
    (popcount("wide", 128, 4, 1, 1, 128), "wide: SIMD 128 is above the 64 that HLS takes: lower simd in the plan"),
    (stationary("wide_map", 2, 2, 128, 4, 3, 1, 1, 1, 128), "wide_map: SIMD 128 is above the 64"),
    (
        popcount("unknown", 9, 4, 1, 1, 9, activation="relu"),
        "unknown: HLS has no activation relu: it has majority_vote",
    ),
    (
        popcount("split", 36, 4, 1, 1, 12, group=9),
        "split: groups of 9 do not fit SIMD 12: set simd to a multiple or a divisor",
    ),
    (
        stationary("split_map", 2, 2, 16, 4, 3, 1, 1, 1, 16, group=24),
        "split_map: groups of 24 do not fit SIMD 16: set simd",
    ),
    (
        popcount("masked", 36, 4, 1, 1, 12, group=3, masked=1),
        "masked: groups of 3 have no majority outside the map: pad with",
    ),
    (
        stationary("zeros", 2, 2, 16, 4, 3, 1, 1, 1, 16, group=4, pad_value=0),
        "zeros: groups of 4 have no majority outside",
    ),
    (
        stationary("twos", 2, 2, 16, 4, 3, 1, 1, 1, 16, pad_value=2),
        "twos: a bipolar map is padded with -1, 0 or +1, not 2",
    ),
    (
        stationary("odd_bits", 2, 2, 8, 4, 3, 1, 1, 1, 8),
        "odd_bits: 288 weight bits are not whole 64-bit words: keep them",
    ),
    (stationary("odd_word", 2, 2, 12, 64, 3, 1, 1, 4, 6), "odd_word: weight words have pe * simd = 24 bits: make that"),
    (
        popcount("short_sum", 64, 4, 1, 1, 64, **SUM, out_bits=7),
        "short_sum: sums of 64 signs on 7 bits: set out_bits to 8..32",
    ),
    (popcount("long_sum", 64, 4, 1, 1, 64, **SUM, out_bits=33), "long_sum: sums of 64 signs on 33 bits"),
    (
        popcount("long_scale", 64, 4, 1, 1, 64, **SCALE, out_bits=33),
        "long_scale: out_bits 33, shift 0: HLS takes at most 32",
    ),
    (popcount("far_scale", 64, 4, 1, 1, 64, **SCALE, out_bits=8, shift=64), "far_scale: out_bits 8, shift 64"),
]
WINDOWS = [
    (Shape("odd_rows", 4, 4, 8, 3, 1, 1, 8, 1, -1, "row"), "odd_rows: order row wants p a multiple of 3, not 8"),
    (
        Shape("odd_windows", 4, 4, 8, 3, 1, 1, 12, 1, 1, "channel"),
        "odd_windows: order channel wants p a multiple of 9, not 12",
    ),
]


@pytest.mark.parametrize("engine, message", REFUSED, ids=[engine.name for engine, _ in REFUSED])
def test_engines_that_are_refused(engine, message):
    with pytest.raises(FlowError, match="^" + re.escape(message)):
        engine.case()


@pytest.mark.parametrize("shape, message", WINDOWS, ids=[shape.name for shape, _ in WINDOWS])
def test_windows_that_are_refused(shape, message):
    with pytest.raises(FlowError, match="^" + re.escape(message)):
        call_of(window_node(shape))


@pytest.mark.parametrize(
    "multiplier, offset, message",
    [
        (1 << 31, 0, "huge: multipliers 2147483648..2147483648 do not fit int32_t"),
        (1 << 30, (1 << 63) - 1, r"huge: multiplier \* sum \+ offset reaches \d+, beyond 64 bits"),
    ],
)
def test_constants_that_are_refused(multiplier, offset, message):
    engine = popcount("huge", 64, 4, 1, 1, 64, **SCALE, out_bits=8, shift=9)
    constants = (engine.constants()[0], np.full(4, multiplier), np.full(4, offset))
    with pytest.raises(FlowError, match=message):
        call_of(Node(engine.op, ("in",), ("out",), constants))


@pytest.mark.parametrize(
    "attributes, header",
    [
        ({}, "majority_vote.hpp"),
        ({"activation": "threshold"}, "threshold.hpp"),
        ({**SCALE, "out_bits": 8, "shift": 3}, "popcount_scale.hpp"),
        ({**SUM, "out_bits": 8}, "sum.hpp"),
    ],
)
def test_a_layer_includes_its_activation_only(attributes, header):
    engine: Engine = popcount("layer", 64, 4, 1, 1, 64, **attributes)
    assert call_of(Node(engine.op, ("in",), ("out",), engine.constants())).headers == {"xnor_popcount.hpp", header}

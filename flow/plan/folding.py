"""Which PE, SIMD and memories an engine may have."""

from __future__ import annotations

from flow.ops import HardwareOp
from flow.ops.base import divisors

ENGINES = ("XnorPopcount", "IntConv")
HLS_SIMD_LIMIT = 64  # bits of a native word
STATIONARY_PIXELS = 16  # beyond this, accumulators and two frames of residuals cost more than the weights


def simd_choices(window: HardwareOp, engine: HardwareOp) -> list[int]:
    """SIMD of ``engine`` behind ``window``: whole taps of some channels, and whole groups of a grouped voter or whole beats a group."""
    group = engine.group if engine.onnx_node.op_type == "XnorPopcount" else 0
    simds = [window.taps_together * d for d in divisors(window.channels, HLS_SIMD_LIMIT // window.taps_together)]
    if not group:
        return simds
    last = engine.channels % group
    return [simd for simd in simds if (simd % group == 0 and not last) or (group % simd == 0 and last % simd == 0)]


def absorbs_window(window: HardwareOp) -> bool:
    """Does an engine whose weights come from DDR gather the windows itself?"""
    return window.order == "tap"


def why_not_ddr(window: HardwareOp, engine: HardwareOp, pe: int, simd: int) -> str | None:
    """What keeps the engine's weights out of DDR; None if nothing does."""
    if engine.onnx_node.op_type != "XnorPopcount":
        return "only binary convolutions read their weights from DDR"
    if engine.pixels < 4:
        return "it needs at least 4 output pixels"
    word = pe * simd
    if max(word, 64) % min(word, 64) or engine.weight_bits % 64:
        return f"pe * simd must divide 64 or be a multiple of it, not {word}"
    return None

"""The processes of a layer whose weights come from DDR, in HLS: see hls/stationary.hpp."""

from __future__ import annotations

from .cells import Array, Call, Link, Process, Table
from .engine import DDR_WORD, Engine

WORDS_AHEAD = 32  # 64-bit words of weights that wait for their use: two bursts


def stationary_call(
    op: Engine, function: str, parameters: dict[str, int | str], tables: tuple[Table, ...], memories: tuple[str, str]
) -> Call:
    """Return the call of a node that keeps its input and its outputs in ``memories`` and computes by ``function``."""
    (entering,), (leaving,) = op.inputs(), op.outputs()
    bits = op.ddr_word_bits
    shared = (
        Array("map", entering.beats, entering.beat_bits, memories[0]),
        Array("outputs", leaving.beats, leaving.beat_bits, memories[1]),
    )
    load, drain = ({"Beats": stream.beats, "Width": stream.beat_bits} for stream in (entering, leaving))
    regroup = {"InElements": DDR_WORD, "OutElements": bits, "Bits": 1, "Elements": DDR_WORD * op.ddr_words}
    compute = ("map", "weights", "outputs", *(table.suffix for table in tables))
    processes = (
        Process("load", "stationary", "load_map", load, ("in", "go", "map")),
        Process("fetch", "stationary", "fetch_weights", {"Words": op.ddr_words}, ("go", "ddr", "words")),
        Process("regroup", "width_converter", "width_converter", regroup, ("words", "weights")),
        Process("compute", function, function, parameters, compute),
        Process("drain", "stationary", "drain", drain, ("outputs", "out")),
    )
    links = (Link("go", 1), Link("words", DDR_WORD, WORDS_AHEAD), Link("weights", bits))
    return Call(function, parameters, tables, processes=processes, shared=shared, links=links)

"""Synthesise one popcount lane (XNOR, popcount, accumulate, vote) by Yosys, beside the same lane with $countones.

python benchmarks/lane.py             # a table: inputs, LUT, FF, longest path
python benchmarks/lane.py --simd 64
"""

from __future__ import annotations

import argparse

from flow.library import modules
from flow.synth.netlist import count, flatten, read_netlist
from flow.synth.parts import Part, sources_of
from flow.synth.synthesis import synthesise
from flow.synth.timing import PartTiming
from flow.synth.yosys import find_yosys

SIZES = ((64, 0), (32, 0), (16, 0), (8, 0), (66, 3), (24, 3))  # signs a beat, signs a group
SUM_BITS = 11  # of a window of 576 signs, minus the threshold


def lane(simd: int, group: int, countones: bool = False) -> Part:
    """Return the lane of one output: its sum comes from the engine's register and goes there; its sign is the vote."""
    sources = sources_of({"popcount_lanes"}, {path.name: path.read_text() for path in modules().values()})
    if countones:
        sources["popcount_lane.sv"] = "`define FLOW_COUNTONES\n" + sources["popcount_lane.sv"]
    parameters = {"Inputs": 576, "Simd": simd, "Group": group, "SumBits": SUM_BITS, "StateBits": SUM_BITS}
    wide = {"signs_i": simd, "weights_i": simd, "state_i": SUM_BITS}
    single = ("clk_i", "rst_ni", "enable_i", "masked_i", "last_i", "group_step_i")
    ports = [("input", name, bits) for name, bits in (wide | dict.fromkeys(single, 1)).items()]
    return Part(
        "popcount_lanes",
        tuple((name, str(value)) for name, value in parameters.items()),
        (*ports, ("output", "state_o", SUM_BITS)),
        tuple(sources.items()),
        (),
    )


def measure(sizes) -> dict[tuple[int, int], dict[str, dict]]:
    """Return LUTs, flip-flops and the longest path in ns of each lane, of ours and of $countones."""
    parts = {(*size, how): lane(*size, how) for size in sizes for how in (False, True)}
    folders, found = synthesise(parts.values(), find_yosys()), {}
    for (simd, group, countones), part in parts.items():
        flat = flatten(read_netlist(folders[part]), part.top)
        inside = PartTiming(flat, 1.0).inside
        area = count(flat)
        row = {"lut": area.lut, "ff": area.ff, "ns": round(inside[0].ns, 2) if inside else None}
        found.setdefault((simd, group), {})["countones" if countones else "lane"] = row
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simd", type=int)
    wanted = parser.parse_args().simd
    print(f"{'signs':>6} {'group':>6} | {'LUT':>5} {'FF':>5} | $countones: {'LUT':>5} {'FF':>5} | LUTs to $countones")
    for (simd, group), row in measure([size for size in SIZES if wanted in (None, size[0])]).items():
        ours, plain = row["lane"], row["countones"]
        print(
            f"{simd:6} {group or '':>6} | {ours['lut']:5} {ours['ff']:5} | {'':12}{plain['lut']:5} {plain['ff']:5} | "
            f"{ours['lut'] / plain['lut']:.2f}"
        )


if __name__ == "__main__":
    main()

"""Synthesise single nodes by Yosys, and compare what their cost models say: the points that the models are fitted to.

    python benchmarks/cost_points.py            # makes what is missing and prints model and synthesis side by side
    python benchmarks/cost_points.py --kind XnorPopcount

Points are kept in benchmarks/cost_points.json; each takes some seconds to a minute of one core the first time (netlists
are cached by their content).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from flow import nodes
from flow.synth.delays import LEVEL_NS
from flow.synth.netlist import count, flatten, read_netlist
from flow.synth.single import part_of
from flow.synth.synthesis import synthesise
from flow.synth.timing import PartTiming
from flow.synth.yosys import find_yosys

STORE = Path(__file__).with_suffix(".json")
FIGURES = ("lut", "ff", "bram36", "dsp")
MAP = {"height": 8, "width": 8}


def engines():
    """Yield binary engines: foldings, activations, masks, groups, memories."""
    layer = {**MAP, "channels": 576, "features": 64, "bits": 1}
    for pe, simd in ((64, 2), (32, 4), (16, 8), (8, 16), (4, 32), (2, 64), (16, 32), (8, 64), (1, 9), (64, 1)):
        yield "XnorPopcount", {**layer, "pe": pe, "simd": simd, "memory": "block"}
    for pe, simd in ((64, 2), (8, 16)):
        yield "XnorPopcount", {**layer, "pe": pe, "simd": simd, "memory": "distributed"}
    for options in (
        {"activation": "threshold"},
        {"activation": "popcount_scale", "out_bits": 8, "shift": 8},
        {"activation": "sum", "out_bits": 11},
        {"masked": 1},
        {"group": 64, "simd": 64, "pe": 2},
        {"group": 64},
    ):
        yield "XnorPopcount", {**layer, "pe": 8, "simd": 16, "memory": "block", **options}
    for pe, simd in ((2, 64), (32, 4)):
        for options in (
            {"activation": "threshold"},
            {"activation": "popcount_scale", "out_bits": 8, "shift": 8},
            {"activation": "sum", "out_bits": 11},
        ):
            yield "XnorPopcount", {**layer, "pe": pe, "simd": simd, "memory": "block", **options}
    yield "XnorPopcount", {**layer, "pe": 8, "simd": 16, "memory": "block", "conv_groups": 4}
    for group, simd in ((9, 9), (9, 36), (8, 32), (16, 16), (16, 32), (32, 64)):
        yield "XnorPopcount", {**layer, "pe": 4, "simd": simd, "memory": "block", "group": group}
    for pe, simd in ((8, 24), (16, 48), (32, 6)):
        yield "XnorPopcount", {**layer, "pe": pe, "simd": simd, "memory": "block", "group": 3}
    large = {**MAP, "channels": 1152, "features": 128, "bits": 1, "memory": "block"}
    for pe, simd in ((8, 16), (64, 2)):
        yield "XnorPopcount", {**large, "pe": pe, "simd": simd}
    deep = {**MAP, "channels": 2304, "features": 256, "bits": 1, "memory": "block"}
    for pe, simd in ((8, 16), (1, 64), (1, 9)):
        yield "XnorPopcount", {**deep, "pe": pe, "simd": simd}
    last = {"height": 4, "width": 4, "channels": 512, "features": 512, "kernel": 3, "padding": 1, "pad_value": -1}
    for pe, simd in ((2, 64), (1, 64), (8, 16), (4, 32)):
        yield "WeightStationary", {**last, "bits": 1, "pe": pe, "simd": simd}
    yield "WeightStationary", {**last, "bits": 1, "pe": 2, "simd": 64, "activation": "threshold"}
    yield "WeightStationary", {**last, "bits": 1, "pe": 8, "simd": 24, "channels": 504, "group": 3}
    dense = {"height": 1, "width": 1, "kernel": 1, "bits": 1}
    for channels, features, pe, simd in ((784, 256, 1, 8), (1024, 512, 2, 32)):
        yield (
            "WeightStationary",
            {**dense, "channels": channels, "features": features, "pe": pe, "simd": simd, "activation": "threshold"},
        )
    for pe, simd, scaled in ((2, 4, 0), (4, 4, 0), (1, 8, 1)):
        yield (
            "IntStationary",
            {
                **{k: last[k] for k in ("height", "width")},
                "channels": 256,
                "features": 512,
                "pe": pe,
                "simd": simd,
                "acc_bits": 22,
                "shift": 8,
                "scaled": scaled,
                "multiplier_bits": 7,
            },
        )
    for n, o, pe, simd, scaled in (
        (256, 64, 1, 16, 0),
        (256, 64, 1, 32, 0),
        (27, 64, 2, 3, 1),
        (64, 128, 2, 4, 0),
        (512, 10, 1, 1, 0),
        (128, 256, 4, 2, 1),
        (64, 64, 8, 2, 0),
        (64, 64, 8, 4, 1),
        (64, 128, 8, 8, 0),
        (512, 256, 1, 4, 0),
    ):
        yield (
            "IntConv",
            {
                **MAP,
                "channels": n,
                "features": o,
                "pe": pe,
                "simd": simd,
                "acc_bits": 22,
                "shift": 8,
                "scaled": scaled,
                "multiplier_bits": 7,
            },
        )
    # signs as weights or inputs, narrow factors
    for n, o, pe, simd, bits, weight_bits, acc_bits, scaled in (
        (576, 64, 8, 16, 2, 1, 12, 0),
        (576, 64, 4, 32, 2, 1, 22, 1),
        (576, 64, 2, 64, 4, 1, 14, 0),
        (27, 64, 8, 3, 8, 1, 22, 1),
        (576, 128, 16, 8, 8, 1, 18, 0),
        (576, 64, 4, 16, 1, 4, 14, 0),
        (576, 64, 8, 8, 2, 2, 13, 0),
        (576, 64, 4, 16, 2, 2, 22, 1),
        (576, 64, 4, 8, 8, 2, 18, 0),
        (288, 64, 4, 8, 4, 4, 16, 0),
        (288, 64, 4, 8, 3, 3, 14, 0),
    ):
        widths = {
            "bits": bits,
            "weight_bits": weight_bits,
            "acc_bits": acc_bits,
            "out_bits": bits + 1,
            "shift": 4,
            "multiplier_bits": 7,
        }
        yield "IntConv", {**MAP, "channels": n, "features": o, "pe": pe, "simd": simd, **widths, "scaled": scaled}
    small = {"height": 4, "width": 4, "channels": 256, "features": 512, "weight_bits": 1, "shift": 4}
    for pe, simd, bits, acc_bits in ((4, 16, 2, 12), (8, 16, 8, 18)):
        yield "IntStationary", {**small, "pe": pe, "simd": simd, "bits": bits, "acc_bits": acc_bits}


def others():
    """Yield windows, activations, sums, pools and plumbing."""
    window = {"kernel": 3, "padding": 1, "bits": 1, "pad_value": -1}
    for side, channels, p, memory in (
        (32, 64, 2, "distributed"),
        (32, 64, 16, "distributed"),
        (32, 64, 16, "block"),
        (16, 128, 8, "distributed"),
        (8, 256, 32, "distributed"),
        (8, 256, 2, "block"),
    ):
        yield "SlidingWindow", {"height": side, "width": side, "channels": channels, "p": p, "memory": memory, **window}
    yield "SlidingWindow", {"height": 32, "width": 32, "channels": 3, "p": 3, "kernel": 3, "padding": 1, "bits": 8}
    yield "SlidingWindow", {"height": 32, "width": 32, "channels": 64, "p": 8, **window, "stride": 2}
    yield "SlidingWindow", {"height": 32, "width": 32, "channels": 64, "p": 8, **window, "pad_value": 0}
    yield "SlidingWindow", {"height": 16, "width": 16, "channels": 128, "p": 24, **window, "order": "row"}
    shape = {"height": 32, "width": 32, "channels": 64, "p": 8, "bits": 4}
    for options in (
        {"kernel": 3, "padding": 2, "dilation": 2},
        {"kernel": (3, 5), "stride": (2, 1), "padding": (0, 2, 1, 2)},
        {"kernel": 3, "padding": 1, "order": "block"},
        {"kernel": 3, "padding": 1, "stride": 2, "order": "block", "block": 16},
        {"height": 1, "width": 1024, "kernel": (1, 9), "padding": (0, 4)},
        {"height": 112, "width": 112, "kernel": 3, "padding": 1, "order": "block", "memory": "block"},
    ):
        yield "SlidingWindow", {**shape, **options}
    for channels, p in ((64, 1), (64, 4), (512, 1), (256, 2)):
        size = {**MAP, "channels": channels, "p": p}
        yield "VoteSelect", {**size, "bits": 8}
        yield "SignThreshold", {**size, "bits": 8}
        yield "AddStreams", {**size, "bits": 8}
        yield "Duplicate", {**size, "bits": 8}
        yield "RPReLU", {**size, "bits": 8}
    for depth, bits, memory in (
        (16, 8, "distributed"),
        (64, 8, "distributed"),
        (1024, 8, "block"),
        (4096, 8, "block"),
        (300, 16, "distributed"),
        (20480, 8, "block"),
    ):
        yield "Fifo", {"channels": 64, "p": 1, "bits": bits, "depth": depth, "memory": memory}
    for p, out_p, bits in ((1, 8, 1), (8, 1, 1), (64, 2, 1), (2, 64, 1), (1, 4, 8), (8, 1, 8)):
        yield "WidthConverter", {**MAP, "channels": 64, "p": p, "out_p": out_p, "bits": bits}
    for kind in ("AvgPool", "MaxPool"):
        for p, bits in ((1, 8), (4, 8), (8, 2)):
            yield kind, {"height": 32, "width": 32, "channels": 64, "p": p, "bits": bits}
    for p, bits, steps, out_bits in ((1, 12, 1, 2), (4, 12, 3, 3), (1, 16, 15, 5), (4, 10, 7, 4)):
        yield "MultiThreshold", {**MAP, "channels": 64, "p": p, "bits": bits, "steps": steps, "out_bits": out_bits}
    yield "GlobalPool", {**MAP, "channels": 512, "p": 1, "bits": 8}
    for p, bits, scaled in ((1, 8, 1), (4, 4, 1), (4, 4, 0)):
        size = {
            "height": 7,
            "width": 7,
            "channels": 512,
            "p": p,
            "bits": bits,
            "out_bits": bits if scaled else bits + 6,
        }
        yield "GlobalPool", {**size, "scaled": scaled, "shift": 13 * scaled}


def reductions():
    """Yield depthwise convolutions, and pools of windows."""
    for taps, channels, simd, bits, options in (
        (9, 64, 4, 4, {"weight_bits": 4, "shift": 6}),
        (9, 64, 8, 4, {"weight_bits": 4, "shift": 6, "out_bits": 4}),
        (9, 64, 1, 8, {"weight_bits": 8, "shift": 9}),
        (9, 64, 8, 8, {"weight_bits": 8, "shift": 9}),
        (9, 256, 8, 8, {"weight_bits": 8, "shift": 9, "memory": "distributed"}),
        (9, 64, 8, 8, {"weight_bits": 8, "scaled": 1, "shift": 14}),
        (25, 128, 16, 8, {"weight_bits": 8, "scaled": 1, "shift": 14}),
        (9, 64, 8, 4, {"weight_bits": 1, "shift": 2, "out_bits": 4}),
        (9, 64, 8, 1, {"weight_bits": 1, "masked": 1, "out_bits": 6}),
        (9, 64, 8, 1, {"weight_bits": 4, "out_bits": 8}),
        (9, 64, 4, 4, {"shift": 3, "out_bits": 4}),
        (9, 64, 16, 4, {"shift": 3, "out_bits": 4}),
        (9, 64, 8, 8, {"scaled": 1, "shift": 12}),
        (49, 64, 2, 12, {"scaled": 1, "shift": 12, "out_bits": 12}),
        (9, 64, 4, 4, {"reduction": "max"}),
        (9, 64, 16, 8, {"reduction": "max"}),
        (4, 64, 1, 8, {"reduction": "max"}),
        (9, 64, 32, 1, {"reduction": "max"}),
        (9, 64, 8, 8, {"reduction": "min"}),
    ):
        sizes = {**MAP, "channels": channels * taps, "features": channels, "taps": taps, "simd": simd, "pe": simd}
        yield "ReduceWindow", {**sizes, "bits": bits, "memory": "block", **options}


def reduction_constants(op, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return random constants of a ReduceWindow or GlobalPool, weights and multipliers that use their bits."""
    taps, weight_bits = getattr(op, "taps", op.pixels), getattr(op, "weight_bits", 0)
    reach = taps << op.bits - 1 << max(weight_bits - 1, 0)
    outputs = op.outputs()[0].channels
    weights = rng.choice([-1, 1], (outputs, taps)) if weight_bits == 1 else None
    if weight_bits > 1:
        weights = rng.integers(-(1 << weight_bits - 1), 1 << weight_bits - 1, (outputs, taps))
    bias = rng.integers(-reach // 4, reach // 4, outputs)
    bias = bias * 256 + rng.integers(0, 256, outputs) if op.scaled else bias
    gains = [rng.integers(1 << 7, 1 << 8, outputs)] if op.scaled else []
    return (*([] if weights is None else [weights]), bias, *gains)


def constants(op, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return random constants of a node."""
    if op.kind == "GlobalPool" or (op.kind == "ReduceWindow" and op.sums):
        return reduction_constants(op, rng) if op.kind == "ReduceWindow" or op.scaled else ()
    if op.kind == "ReduceWindow":
        return ()
    if op.kind in ("XnorPopcount", "WeightStationary"):
        weights = rng.choice([-1, 1], (op.features, op.synapses))
        if op.activation == "threshold":
            return weights, rng.integers(-40, 40, op.features)
        if op.activation == "popcount_scale":
            return weights, rng.integers(1, 200, op.features), rng.integers(-9000, 9000, op.features)
        return (weights,)
    if op.engine:
        half = 1 << op.weight_bits - 1
        weights = rng.integers(-half, half, (op.features, op.synapses))
        weights = rng.choice([-1, 1], weights.shape) if op.weight_bits == 1 else weights
        reach = 1 << min(18, op.acc_bits - 2)
        bias = rng.integers(-reach, reach, op.features)
        return (weights, bias, rng.integers(1 << 5, 1 << 6, op.features)) if op.scaled else (weights, bias)
    tables = {"VoteSelect": 2, "SignThreshold": 1}
    if op.kind == "MultiThreshold":
        spread = 1 << op.bits // 2 + 2
        return (np.sort(rng.integers(-spread, spread, (op.channels, op.steps)), axis=1),)
    if op.kind == "RPReLU":
        before, after = rng.integers(-60, 60, (2, op.channels))
        return before, rng.integers(0, 4, op.channels), after
    return tuple(rng.integers(-60, 60, op.channels) for _ in range(tables.get(op.kind, 0)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind")
    wanted = parser.parse_args().kind
    yosys, parts = find_yosys(), {}
    for kind, attributes in [*engines(), *reductions(), *others()]:
        if wanted in (None, kind):
            op = nodes.find(kind)(name="node", **{"height": 1, "width": 1, **attributes})
            values = constants(op, np.random.default_rng(1))
            if kind in ("ReduceWindow", "GlobalPool") and getattr(op, "sums", op.pixels):
                ends = tuple(np.full(op.channels, end) for end in op.inputs()[0].range)
                op = op.variant(**op.fitted([ends], values))
            parts[part_of(op, *values)] = op, attributes
    folders = synthesise(parts, yosys, log=lambda line: print(line, flush=True))
    points = []
    for part, (op, attributes) in parts.items():
        flat = flatten(read_netlist(folders[part]), part.top)
        area, inside = count(flat).as_dict(), PartTiming(flat, LEVEL_NS).inside
        path = {"yosys_path_ns": round(inside[0].ns, 2), "yosys_levels": inside[0].levels} if inside else {}
        points.append({"kind": op.kind, **attributes, **{f"yosys_{name}": area[name] for name in area}, **path})
    if wanted is None:
        STORE.write_text(json.dumps({"yosys": yosys.version, "points": points}, indent=1) + "\n")
    for point, (op, _) in zip(points, parts.values()):
        model = op.cost().as_dict()
        figures = "  ".join(f"{name} {model[name]:.4g}/{point[f'yosys_{name}']:.4g}" for name in FIGURES)
        about = " ".join(f"{k}={v}" for k, v in point.items() if not k.startswith("yosys_") and k != "kind")
        path = f"path_ns {op.path_ns():.4g}/{point.get('yosys_path_ns', 0):.4g}"
        print(f"{op.kind:17s} {figures}  {path}   {about}")
    slow = [point for point, (op, _) in zip(points, parts.values()) if point.get("yosys_path_ns", 0) > op.path_ns()]
    for point in slow:
        print(f"above the bound of its longest path: {point}")
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Runs HLS nodes on numpy data: one C++ program per header, one block of it per set of parameters.

A stream in a test is (elements, bits): an integer array [beats, P] and the bits of an element.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flow.sim.cpp import compile_cpp
from flow.sim.streams import from_beats, to_beats

HERE = Path(__file__).parent


@dataclass
class Case:
    """One instance of a node. `inputs`: name -> (array [frames * beats, P], bits); `outputs`: name -> (P, bits);
    `tables`: name -> (C++ element type, array); `arguments`: the call's arguments in order, by those names."""

    name: str
    function: str
    inputs: dict
    outputs: dict
    arguments: tuple
    tables: dict = field(default_factory=dict)
    frames: int = 2


@dataclass
class Result:
    outputs: dict  # name -> signed elements [beats, P]
    frames_per_second: float


def label(shape):
    """A shape's parameters as a C++ and pytest name."""
    return "case_" + "_".join(map(str, shape))


def instance(node, *parameters):
    return f"flow::{node}<{', '.join(map(str, parameters))}>"


def run_cases(header, cases, folder, definitions="", prelude=""):
    """Compiles and runs all cases; returns {name: Result}. Fails on reads of an empty stream and on leftover beats.
    `definitions` is C++ in front of the cases, for a header whose function is not on streams; `prelude` comes before everything."""
    source = folder / "driver.cpp"
    source.write_text(_program(header, cases, definitions, prelude))
    program = compile_cpp([source], folder / "driver", ["-I", str(HERE)])
    for case in cases:
        for name, (elements, bits) in case.inputs.items():
            (folder / f"{case.name}.{name}").write_bytes(to_bytes(elements, bits))
        for name, (_, table) in case.tables.items():
            (folder / f"{case.name}.{name}").write_bytes(np.ascontiguousarray(table).tobytes())
    report = subprocess.run([program], cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout
    speeds = check_report(report)
    return {
        case.name: Result(
            {
                name: from_bytes((folder / f"{case.name}.{name}").read_bytes(), *shape)
                for name, shape in case.outputs.items()
            },
            speeds[case.name],
        )
        for case in cases
    }


def check_report(report):
    """The program's "speed NAME VALUE" lines as a dict; any other line is a complaint of a stream or a table."""
    lines = report.splitlines()
    complaints = [line for line in lines if not line.startswith("speed ")]
    assert not complaints, "\n".join(complaints[:5])
    return {name: float(speed) for _, name, speed in map(str.split, lines)}


def to_bytes(elements, bits):
    """The beats as the driver reads them: each padded to whole 64-bit words."""
    p = elements.shape[1]
    return b"".join(beat.to_bytes(8 * words_of(p, bits), "little") for beat in to_beats(elements, p, bits))


def from_bytes(data, p, bits):
    """The inverse of to_bytes; elements of more than one bit are signed."""
    size = 8 * words_of(p, bits)
    beats = [int.from_bytes(data[start : start + size], "little") for start in range(0, len(data), size)]
    return from_beats(beats, p, bits, signed=bits > 1)


def words_of(p, bits):
    return -(-p * bits // 64)


def pack_words(bits):
    """Bits [..., Simd] to the native words of the HLS tables: (C++ type, array [...])."""
    simd = bits.shape[-1]
    width = next(w for w in (8, 16, 32, 64) if simd <= w)
    words = (bits.astype(np.uint64) << np.arange(simd, dtype=np.uint64)).sum(axis=-1, dtype=np.uint64)
    return f"uint{width}_t", words.astype(f"uint{width}")


def fold(matrix, pe, simd):
    """[Outputs, Inputs] to the order of the weight tables: [Pe, NF * SF, Simd]."""
    outputs, inputs = matrix.shape
    folded = matrix.reshape(outputs // pe, pe, inputs // simd, simd)
    return folded.transpose(1, 0, 2, 3).reshape(pe, -1, simd)


def im2col(maps, kernel, stride, padding, pad_value):
    """[N, H, W, C] to windows [N, OH, OW, K*K*C], taps in raster order, then channels."""
    padded = np.pad(maps, ((0, 0), (padding, padding), (padding, padding), (0, 0)), constant_values=pad_value)
    views = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
    windows = views[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1)


def _program(header, cases, definitions, prelude):
    blocks = "\n".join(_block(case) for case in cases)
    return (
        f'{prelude}#include "driver.hpp"\n#include "{header}.hpp"\n{definitions}\n{blocks}\nint main() {{\n'
        + "".join(f"    {case.name}();\n" for case in cases)
        + "}\n"
    )


def _block(case):
    lines = [f"static void {case.name}() {{"]
    for name, (elements, bits) in case.inputs.items():
        lines += [
            f'hls::stream<ap_uint<{elements.shape[1] * bits}>> {name}("{case.name}.{name}");',
            f'load("{case.name}.{name}", {name});',
        ]
    for name, (p, bits) in case.outputs.items():
        lines += [f'hls::stream<ap_uint<{p * bits}>> {name}("{case.name}.{name}");']
    for name, (ctype, table) in case.tables.items():
        extents = "".join(f"[{extent}]" for extent in table.shape)
        lines += [f"static {ctype} {name}{extents};", f'load_table("{case.name}.{name}", {name});']
    lines += [
        "const double start = seconds();",
        f"for (int frame = 0; frame < {case.frames}; ++frame) {case.function}({', '.join(case.arguments)});",
        f'std::printf("speed {case.name} %g\\n", {case.frames} / (seconds() - start));',
        "std::fflush(stdout);",
    ]
    for name in case.outputs:
        lines += [f'store("{case.name}.{name}", {name});']
    return "\n    ".join(lines) + "\n}\n"

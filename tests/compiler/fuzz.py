"""Mutated ONNX files through the compiler: each must end in a verified build or one clear message.

    python -m tests.compiler.fuzz --files 2000 --log build/fuzz.jsonl        a stopped run goes on
    python -m tests.compiler.fuzz --only 1234 --keep FOLDER                  one again, and the file itself

File ``number`` is a valid file (`fuzz_seeds`) after 1 to 3 mutations (`mutations`), drawn with its number as the seed.
It is built up to golden in a forked process of SECONDS of processor time and MEMORY of address space; every
``--deep``-th that builds goes through csim and RTL too. Its scores are held to what qonnx or onnxruntime give for the
mutated file itself, by the measure of `random_networks`. Prints what came of them and how to make the bad ones again;
exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.general import SortGraph
from qonnx.util.cleanup import cleanup_model

import flow
import flow.steps.export
import flow.steps.streamline  # once for all files, which are forked
from brevitas_models.data import load_samples
from flow.errors import FlowError, VerificationError
from flow.foreign import image_shape, sample_images
from tests.abuse.harness import preload, wait_for

from .fuzz_seeds import GROUPS, Seed, load
from .mutations import mutated
from .random_networks import TOLERANCE, hold_scores

SECONDS, DEEP_SECONDS = 30, 900  # of processor time of a file, and of one that goes through csim and RTL
WAITING = 10  # times that of the clock, on a machine that does other work
MEMORY, DEEP_MEMORY = 6 << 30, 12 << 30  # of address space, in which torch alone has two
IMAGES = 8
GOOD = ("built", "built, no reference", "built, constant", "refused", "beyond")
BAD = ("wrong", "traceback", "unclear", "crash", "hang", "memory")
UNCLEAR = re.compile(  # what a message to a user has not: several lines, Python's objects and its own errors' texts
    r"\n(?! )|object at 0x|<class |<function |Traceback|"
    r"\b(Key|Index|Attribute|Type|Assertion|NotImplemented|StopIteration|UnboundLocal|ZeroDivision)\w*(Error)?\b[:)]"
)


@dataclass(frozen=True)
class Outcome:
    """What came of a file: one of GOOD or BAD, the message, processor seconds, and what was done to which file."""

    file: int
    outcome: str
    message: str
    seconds: float
    seed: str
    mutations: list[str]
    deep: bool = False


# ------------------------------------------------------------ one file


def drawn_file(number: int, seeds: dict[str, list[Seed]]) -> tuple[Seed, bytes, list[str]]:
    """Return the seed, the mutated bytes and the mutations of a file; without cases a random file takes their place."""
    generator = random.Random(number)
    group = generator.choice(GROUPS)
    place = generator.random()
    choices = seeds[group] or seeds["random"]
    seed = choices[int(place * len(choices))]
    return seed, *mutated(seed.content, generator)


def judged(seed: Seed, content: bytes, folder: Path, deep: bool = False) -> tuple[str, str]:
    """Build the file ``content`` in ``folder`` as a user would; return the outcome and its message."""
    try:
        return _built(seed, content, folder, deep)
    except VerificationError as error:
        allowed = "is allowed" in str(error) or "please report" in str(error)
        return ("beyond" if allowed else "wrong"), str(error)
    except FlowError as error:
        return ("unclear" if UNCLEAR.search(str(error)) else "refused"), str(error)
    except AssertionError as error:
        return ("wrong" if _is_ours(error) else "traceback"), _told(error)
    except MemoryError as error:
        return "memory", _told(error)
    except Exception as error:
        return ("memory" if "bad_alloc" in str(error) else "traceback"), _told(error)


def _built(seed: Seed, content: bytes, folder: Path, deep: bool) -> tuple[str, str]:
    path = folder / "network.onnx"
    path.write_bytes(content)
    given = {}
    if seed.images is not None and _input_shape(content) == _input_shape(seed.content):
        np.save(folder / "images.npy", seed.images[:IMAGES])
        given = {"images": folder / "images.npy"}
    built = flow.build(
        onnx=path,
        pixels=seed.pixels,
        target="u250",
        fps=20.0,
        tolerance=TOLERANCE,
        pass_images=2,
        golden_images=IMAGES,
        csim_images=3,
        rtl_images=2,
        output=folder / "build",
        last="simulate" if deep else "streamline",
        **given,
    )
    for stage in ("csim", "simulate") if deep else ():
        for line in built.workspace.load_json(stage)["verification"]:
            assert line["mismatches"] == 0, f"{stage}: {line}"
    try:
        expected = reference(content, seed, folder, built)
    except Exception as error:  # of many kinds: the file is none that these execute
        return "built, no reference", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[
            :300
        ]
    hold_scores(built, expected, exact=False)
    return ("built" if len(np.unique(expected, axis=0)) > 2 else "built, constant"), ""


def reference(content: bytes, seed: Seed, folder: Path, built) -> np.ndarray:
    """Return the outputs float64 [N, elements] of a file, executed by onnxruntime, or by qonnx where it has nodes of
    other domains."""
    model = ModelWrapper(onnx.load_model_from_string(content)).transform(SortGraph()).model
    given = {tensor.name for tensor in model.graph.initializer}
    read = {name for node in model.graph.node for name in node.input}
    (entry,) = [info for info in model.graph.input if info.name not in given and info.name in read]
    shape = [dim.dim_value or 1 for dim in entry.type.tensor_type.shape.dim]
    kind = onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
    low, high = seed.pixels
    if (folder / "images.npy").exists():
        images = np.load(folder / "images.npy")
    else:
        images = sample_images(image_shape(built.workspace.load_graph("export")), IMAGES)
    values = images.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
    if list(values.shape[1:]) != shape[1:]:
        values = values.transpose(0, 3, 1, 2)
    feeds = [frame.reshape(shape).astype(kind) for frame in values]
    if all(node.domain in ("", "ai.onnx") for node in model.graph.node):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        outputs = [session.run(None, {entry.name: feed})[0] for feed in feeds]
    else:
        wrapped = cleanup_model(ModelWrapper(model))
        (name,) = [info.name for info in wrapped.graph.input]
        outputs = [next(iter(execute_onnx(wrapped, {name: feed}).values())) for feed in feeds]
    return np.array([np.asarray(output, np.float64).ravel() for output in outputs])


def _input_shape(content: bytes) -> list[list[int]]:
    try:
        graph = onnx.load_model_from_string(content).graph
    except Exception:  # damaged bytes
        return []
    return [[dim.dim_value for dim in info.type.tensor_type.shape.dim] for info in graph.input]


def _is_ours(error: BaseException) -> bool:
    """Return whether an assertion is one of these tests, not of the compiler or a library."""
    frames = traceback.extract_tb(error.__traceback__)
    return Path(frames[-1].filename).parent == Path(__file__).parent


def _told(error: BaseException) -> str:
    """Return an error's kind, text and the last places in the compiler that it came from."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/flow/" in f.filename]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-3:]))
    return f"{type(error).__name__}: {str(error)[:300]} ({places})"


# ------------------------------------------------------------ processes


def outcome_of(number: int, seeds: dict[str, list[Seed]], deep: bool = False, keep: Path | None = None) -> Outcome:
    """Return what comes of a file."""
    seed, content, mutations = drawn_file(number, seeds)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{number}.onnx").write_bytes(content)
    return Outcome(number, *bounded(seed, content, deep), seed.name, mutations, deep)


def bounded(seed: Seed, content: bytes, deep: bool = False) -> tuple[str, str, float]:
    """Return what comes of ``content``, the message and the processor seconds, in a forked process with bounds of time
    and memory."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        folder, begin = Path(scratch), _used()
        child = os.fork()
        if not child:
            _become(seed, content, folder, deep)
        status = wait_for(child, WAITING * (DEEP_SECONDS if deep else SECONDS))
        seconds = round(_used() - begin, 2)
        if (folder / "outcome.json").exists():
            outcome, message = json.loads((folder / "outcome.json").read_text())
        elif status is None or os.waitstatus_to_exitcode(status) in (-signal.SIGXCPU, -signal.SIGKILL):
            outcome, message = "hang", f"stopped after {seconds:g} s"
        else:
            printed = (folder / "printed").read_text(errors="replace") if (folder / "printed").exists() else ""
            outcome = "memory" if "bad_alloc" in printed else "crash"
            message = f"exit code {os.waitstatus_to_exitcode(status)}: {printed[-200:]}"
    return outcome, message, seconds


def _used() -> float:
    """Return the processor seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _become(seed: Seed, content: bytes, folder: Path, deep: bool) -> None:
    """Build the file in a forked process; never returns."""
    try:
        faulthandler.disable()  # pytest's, which would print where a crash was
        os.setsid()
        printed = os.open(folder / "printed", os.O_CREAT | os.O_WRONLY, 0o600)
        for descriptor in (1, 2):
            os.dup2(printed, descriptor)
        memory, seconds = (DEEP_MEMORY, DEEP_SECONDS) if deep else (MEMORY, SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds))
        found = judged(seed, content, folder, deep)
        (folder / "outcome.tmp").write_text(json.dumps(found))
        (folder / "outcome.tmp").rename(folder / "outcome.json")
    finally:
        os._exit(0)


# ------------------------------------------------------------ many files


def code_version() -> str:
    """Return a digest of the compiler's and these tests' code: outcomes of other code are not taken over."""
    root, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for path in sorted([*(root / "flow").rglob("*.py"), *(root / "tests" / "compiler").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def known_outcomes(log: Path | None, code: str) -> dict[int, Outcome]:
    """Return what a log of an earlier run with the same code says, by file."""
    found = {}
    for line in log.read_text().splitlines() if log and log.exists() else []:
        row = json.loads(line)
        if row.pop("code") == code:
            found[row["file"]] = Outcome(**row)
    return found


def run(numbers: Iterable[int], seeds, deep: int = 0, keep: Path | None = None) -> Iterator[Outcome]:
    """Yield the outcomes of files; every ``deep``-th number that builds goes through csim and RTL too."""
    for number in numbers:
        found = outcome_of(number, seeds, keep=keep)
        if deep and number % deep == 0 and found.outcome.startswith("built"):
            found = outcome_of(number, seeds, deep=True)
        yield found


def show(outcomes: Iterable[Outcome]) -> bool:
    """Print the counts, and the bad files with how to make them again; return whether there are none."""
    outcomes = sorted(outcomes, key=lambda found: found.file)
    bad = [found for found in outcomes if found.outcome in BAD]
    for found in bad:
        print(f"{found.outcome}: python -m tests.compiler.fuzz --only {found.file}{' --deep 1' if found.deep else ''}")
        print(f"  {found.seed}; {'; '.join(found.mutations)}\n  {found.message[:500]}")
    counts = Counter(found.outcome for found in outcomes)
    deep = Counter(found.outcome for found in outcomes if found.deep)
    print(f"{len(outcomes)} files: " + ", ".join(f"{counts[name]} {name}" for name in (*GOOD, *BAD)))
    print(f"{sum(deep.values())} of them through csim and RTL: {dict(deep)}")
    print(f"longest: {max((found.seconds for found in outcomes if not found.deep), default=0):.1f} s of processor time")
    return not bad


def main() -> int:
    """Run the files that a log does not know yet, and show what came of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the files to do")
    parser.add_argument(
        "--deep", type=int, default=50, help="of the files, every so many-th to csim and RTL; 0 is none"
    )
    parser.add_argument("--log", type=Path, help="JSON lines of the outcomes, from which a stopped run goes on")
    parser.add_argument("--seeds", type=Path, help="folder of the valid files, which are made there once")
    parser.add_argument("--keep", type=Path, help="folder to write the mutated files to")
    parser.add_argument("--cases", type=Path, default=Path("../shared/cases"), help="folder of other people's files")
    arguments = parser.parse_args()
    code, log = code_version(), arguments.log
    numbers = arguments.only or range(arguments.first, arguments.first + arguments.files)
    with tempfile.TemporaryDirectory(prefix="fuzz-seeds-") as scratch:
        folder = arguments.seeds or Path(scratch)
        if not (folder / "seeds.json").exists():  # in a process of its own: files are forked from this one
            words = (
                "import sys, pathlib as p; from tests.compiler.fuzz_seeds import make; make(*map(p.Path, sys.argv[1:]))"
            )
            subprocess.run([sys.executable, "-P", "-c", words, str(folder), str(arguments.cases)], check=True)
        seeds = load(folder)
    known = known_outcomes(log, code)
    outcomes = {number: known[number] for number in numbers if number in known}
    preload()
    load_samples()
    sound = seeds["random"][0]
    if (found := bounded(sound, sound.content))[0] != "built":  # else all would count as refused
        sys.exit(f"{sound.name}, which nobody mutated, is not built: {found}")
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
    for found in run((n for n in numbers if n not in outcomes), seeds, arguments.deep, arguments.keep):
        outcomes[found.file] = found
        if log:
            with log.open("a") as file:
                file.write(json.dumps({**asdict(found), "code": code}) + "\n")
        if found.outcome in BAD or arguments.only or len(outcomes) % 100 == 0:
            print(f"{found.file}: {found.outcome}, {found.seconds} s, {found.message[:300]}", flush=True)
    return int(not show(outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())

"""Calls that nobody met: names, places, streams and variables as a hostile user or a tired one has them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from tests.abuse.harness import Call, damage
from tests.abuse.template import BUILD, BUILD_WORDS, CHECKPOINT, IMAGES, LABELS, ONNX, RUN

Prepare = Callable[[Path], object]
FOREIGN = ("flow", "build", "--onnx", ONNX, "--pixels=-1,1", "--output", "new", "--to-step", "export")
NAMES = {  # of files and folders
    "markup": "a[/b]c",
    "a colour": "[red]x",
    "an emoji": ":smile:",
    "no UTF-8": os.fsdecode(b"\xff\xfe"),
    "two lines": "a\nb",
    "an escape": "\x1b[31mx",
    "braces": "{x}%s{0}",
    "a space": " ",
    "home": "~",
    "umlauts": "größe",
}


def neighbours() -> Iterator[Call]:
    """Yield all of them."""
    yield from names()
    yield from special_files()
    yield from rights()
    yield from streams()
    yield from variables()
    yield from together()
    yield from links()
    yield from runs()
    yield from results()


def names() -> Iterator[Call]:
    """Yield calls with strange names: each is printed as it is."""
    for what, name in NAMES.items():
        said = "" if what in ("no UTF-8", "two lines", "an escape") else _literal(name)
        for command, words in (
            ("inspect", ["inspect", name]),
            ("eval", ["eval", "--checkpoint", name]),
            ("build --plan", ["build", "--plan", name]),
            ("build --model", ["build", "--model", name]),
            ("train --recipe", ["train", "--recipe", name]),
            ("synth", ["synth", name]),
            ("table", ["table", "--results", name]),
        ):
            yield Call("names", f"{command}: {what}", ["flow", *words], said)
        yield Call("names", f"deploy: {what}", ["deploy", "latency", "--package", name, "--platform", "sim"], said)
        moved = [*BUILD_WORDS[:-1], f"./{name}"]
        yield Call("names", f"a finished build: {what}", moved, "verification|mismatches", _moved(BUILD, name), (0,))
        renamed = ["flow", "inspect", f"{name}.onnx", "--pixels=-1,1"]
        yield Call("names", f"a QONNX file: {what}", renamed, "nodes", _moved(ONNX, f"{name}.onnx"), (0,))


def _literal(name: str) -> str:
    return (
        "".join(f"[{letter}]" if letter in "[]{}%~" else letter for letter in name)
        .replace("[[]", r"\[")
        .replace("[]]", r"\]")
    )


def _moved(old: str, new: str) -> Prepare:
    def apply(folder: Path) -> None:
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)

    return apply


def special_files() -> Iterator[Call]:
    """Yield calls that read pipes and devices, which may never end."""
    pipe = lambda name: lambda folder: ((folder / name).unlink(missing_ok=True), os.mkfifo(folder / name))
    endless = lambda name: (
        lambda folder: ((folder / name).unlink(missing_ok=True), (folder / name).symlink_to("/dev/zero"))
    )
    plan = [*BUILD_WORDS, "--to-step", "plan", "--plan", "given.yaml"]
    run = ["deploy", "run", IMAGES, "--package", f"{BUILD}/deploy", "--platform", "sim"]
    for what, prepare in (("a pipe", pipe), ("/dev/zero", endless)):
        for name, words, text in (
            (ONNX, ["flow", "inspect", ONNX], "no file"),
            (ONNX, list(FOREIGN), "no file"),
            (IMAGES, [*FOREIGN, "--images", IMAGES], "no file"),
            (LABELS, [*FOREIGN, "--images", IMAGES, "--labels", LABELS], "no file"),
            ("given.yaml", plan, "no file"),
            (CHECKPOINT, ["flow", "eval", "--checkpoint", CHECKPOINT], "no checkpoint"),
            (CHECKPOINT, ["flow", "ptq", CHECKPOINT, "--output", "new"], "no checkpoint"),
            (CHECKPOINT, ["flow", "train", "--init", CHECKPOINT], "no checkpoint"),
            (f"{RUN}/state.pt", ["flow", "pack", RUN], "no training state"),
            ("data", ["flow", "eval", "--data", "data"], "no data set"),
            (IMAGES, run, "no file"),
        ):
            yield Call("special files", f"{what}: {' '.join(words[:2])}, {name}", words, text, prepare(name))


def rights() -> Iterator[Call]:
    """Yield calls by somebody who may not read or write."""
    hidden = lambda name: lambda folder: _closed(folder / name, 0o000)
    export = ["flow", "build", "--checkpoint", CHECKPOINT, "--width", "4", "--to-step", "export", "--output"]
    text = "cannot|denied|damaged|not readable"
    for name, words in (
        (ONNX, ["flow", "inspect", ONNX]),
        (IMAGES, [*FOREIGN, "--images", IMAGES]),
        (CHECKPOINT, ["flow", "eval", "--checkpoint", CHECKPOINT]),
        (CHECKPOINT, [*export, "new"]),
        (f"{RUN}/state.pt", ["flow", "pack", RUN]),
        (f"{BUILD}/deploy/settings.json", ["deploy", "latency", "--package", f"{BUILD}/deploy", "--platform", "sim"]),
        (f"{BUILD}/plan.yaml", list(BUILD_WORDS)),
        (f"{BUILD}/report/plan.json", list(BUILD_WORDS)),
        (f"{BUILD}/graphs", list(BUILD_WORDS)),
        (f"{BUILD}/rtl", ["flow", "synth", BUILD]),
    ):
        yield _by_plain_user(f"{' '.join(words[:2])}: {name} cannot be read", words, hidden(name), text)
    fixed = lambda name: lambda folder: _closed(folder / name, 0o555)
    for name, words in (
        ("new", [*export, "new"]),
        ("new", [*export, "new/below"]),
        ("new", ["flow", "table", "--output", "new/table.md"]),
        (BUILD, [*BUILD_WORDS, "--fresh"]),
    ):
        yield _by_plain_user(f"{' '.join(words[-2:])}: {name} cannot be written", words, fixed(name), "cannot|denied")
    read_only = lambda folder: _closed(folder / BUILD / "report", 0o555)
    again = [*BUILD_WORDS, "--from-step", "report"]
    yield _by_plain_user("build: report/ cannot be written", again, read_only, "cannot|denied")


def _by_plain_user(name: str, words: list[str], prepare: Prepare, text: str) -> Call:
    own = {"HOME": "{here}", "XDG_CACHE_HOME": "{here}/cache"}
    return Call("rights", name, words, text, prepare, environment=own, plain_user=True)


def _closed(path: Path, mode: int) -> None:
    if not path.exists():
        path.mkdir()
    path.chmod(mode)


def streams() -> Iterator[Call]:
    """Yield calls whose output goes nowhere."""
    for words in (["table"], ["doctor"], ["inspect", ONNX, "--pixels=-1,1"], list(BUILD_WORDS[1:])):
        full = "No space left|disk is full"
        yield Call("streams", f"{words[0]}: a full disk", ["flow", *words], full, codes=(1,), stdout="/dev/full")


def variables() -> Iterator[Call]:
    """Yield calls with variables that mean nothing."""
    csim = [*BUILD_WORDS, "--from-step", "csim", "--to-step", "csim"]
    train = ["flow", "train", "--data", "none"]
    latency = ["deploy", "latency", "--platform", "sim", "--repeats", "1"]
    package = [*latency, "--package", f"{BUILD}/deploy"]
    for name, variable, value, words, text, codes in (
        ("no programs", "PATH", "/nowhere", csim, "verilator|g\\+\\+", (1,)),
        ("data: nothing", "FLOW_DATA", "", ["flow", "eval", "--images", "4"], "top-1|no data", (0, 1)),
        ("data: a device", "FLOW_DATA", "/dev/null", ["flow", "eval"], "no data set at /dev/null", (1,)),
        ("data: a file", "FLOW_DATA", ONNX, ["flow", "eval"], f"no data set at {ONNX}", (1,)),
        ("processes: x", "WORLD_SIZE", "x", train, "WORLD_SIZE is 'x'", (1,)),
        ("processes: -1", "WORLD_SIZE", "-1", train, "WORLD_SIZE is '-1'", (1,)),
        ("processes: 2 alone", "WORLD_SIZE", "2", train, "WORLD_SIZE is 2", (1,)),
        ("processes: 0", "WORLD_SIZE", "0", train, "WORLD_SIZE is '0'", (1,)),
        ("package: nowhere", "POPBIN_PACKAGE", "none", latency, "no package at none", (1,)),
        ("package: a file", "POPBIN_PACKAGE", ONNX, latency, ONNX, (1,)),
        ("trust: yes", "POPBIN_TRUST", "yes", package, "not built by you", (1,)),
        ("columns: x", "COLUMNS", "x", ["flow", "table"], "row", (0,)),
        ("columns: 0", "COLUMNS", "0", ["flow", "doctor"], "", (0, 1)),
        ("terminal: nonsense", "TERM", "\x1b", ["flow", "doctor"], "", (0, 1)),
        ("colours: all", "FORCE_COLOR", "1", ["flow", "inspect", "none"], "no file none", (1,)),
        ("threads: x", "OMP_NUM_THREADS", "x", ["flow", "table"], "row", (0,)),
        ("scratch: nowhere", "TMPDIR", "/nowhere", ["flow", "table"], "row", (0,)),
        ("home: a file", "HOME", f"{{here}}/{ONNX}", ["flow", "doctor"], "", (0, 1)),
        ("cache: relative", "XDG_CACHE_HOME", "cache", ["flow", "inspect", ONNX, "--pixels=-1,1"], "nodes", (0,)),
    ):
        set_to = {variable: value, **({"XDG_DATA_HOME": "{here}/elsewhere"} if "TRUST" in variable else {})}
        yield Call("variables", name, words, text, codes=codes, environment=set_to)


def together() -> Iterator[Call]:
    """Yield calls in folders that another one works in."""

    def held(name: str) -> Prepare:
        def apply(folder: Path):
            (folder / name).mkdir(exist_ok=True)
            file = (folder / name / ".lock").open("w")
            fcntl.flock(file, fcntl.LOCK_EX)
            return contextlib.closing(file), file

        return apply

    text = "another build works in"
    yield Call("together", "build", list(BUILD_WORDS), text, held(BUILD), keeps=(f"{BUILD}/plan.yaml",))
    yield Call("together", "build, fresh", [*BUILD_WORDS, "--fresh"], text, held(BUILD), keeps=(f"{BUILD}/plan.yaml",))
    yield Call("together", "build, QONNX file", [*FOREIGN], text, held("new"))


def links() -> Iterator[Call]:
    """Yield calls on builds with links in them: what they lead to is nobody's to change."""

    def linked(name: str, to: str) -> Prepare:
        def apply(folder: Path) -> None:
            (folder / "precious").mkdir()
            damage(folder / "precious" / "file", b"keep me")
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(folder / to)

        return apply

    keeps = ("precious/file",)
    export = ["flow", "build", "--checkpoint", CHECKPOINT, "--width", "4", "--to-step", "export", "--output", "new"]
    loop = lambda folder: (folder / "new").symlink_to(folder / "new")
    yield Call("links", "--output is a loop", export, "cannot be a build folder", loop)
    inside = lambda name, to: linked(f"{BUILD}/{name}", to)
    hls = [*BUILD_WORDS, "--from-step", "hls", "--to-step", "hls"]
    yield Call("links", "hls/ leads elsewhere", hls, "", inside("hls", "precious"), (0, 1), keeps=keeps)
    plan = [*BUILD_WORDS, "--to-step", "plan", "--fps", "50"]
    yield Call(
        "links", "plan.yaml leads elsewhere", plan, "", inside("plan.yaml", "precious/file"), (0, 1), keeps=keeps
    )
    lock = inside(".lock", "precious/file")
    yield Call("links", ".lock leads elsewhere", list(BUILD_WORDS), "cannot be written", lock, keeps=keeps)
    report = inside("report/plan.json", "precious/file")
    yield Call("links", "a report leads elsewhere", list(BUILD_WORDS), "not what step", report, keeps=keeps)
    table = ["flow", "table", "--output", "new/table.md"]
    yield Call("links", "a table into a loop", table, "symbolic links|cannot", loop)


def runs() -> Iterator[Call]:
    """Yield calls on training runs whose state says what no training does."""
    wrong: dict[str, Callable[[dict], object]] = {
        "a NaN weight": lambda state: next(iter(state["model"].values())).fill_(float("nan")),
        "a weight is text": lambda state: state["model"].update({next(iter(state["model"])): "x"}),
        "weights of another shape": lambda state: state["model"].update({next(iter(state["model"])): torch.zeros(1)}),
        "a weight less": lambda state: state["model"].pop(next(iter(state["model"]))),
        "no weights": lambda state: state.update(model=None),
        "step -1": lambda state: state.update(step=-1),
        "step is text": lambda state: state.update(step="x"),
        "0 steps": lambda state: state.update(steps=0),
        "NaN seconds": lambda state: state.update(seconds=float("nan")),
        "history is text": lambda state: state.update(history="x"),
        "source is a number": lambda state: state.update(source=3),
        "another model": lambda state: state["network"].update(model="x"),
        "width -4": lambda state: state["network"].update(width=-4),
        "0 epochs": lambda state: state["config"].update(epochs=0),
        "learning rate NaN": lambda state: state["config"].update(lr=float("nan")),
        "earlier is a number": lambda state: state.update(earlier=3),
    }

    def changed(change: Callable[[dict], object]) -> Prepare:
        def apply(folder: Path) -> None:
            path = folder / RUN / "state.pt"
            state = torch.load(path, weights_only=True)
            change(state)
            path.unlink()
            torch.save(state, path)

        return apply

    def bit(folder: Path) -> None:
        path = folder / RUN / "state.pt"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 64
        damage(path, bytes(content))

    for name, prepare in (*((name, changed(change)) for name, change in wrong.items()), ("one bit", bit)):
        for words in (["pack", RUN], ["train", "--init", f"{RUN}/state.pt", "--data", "none", "--width", "4"]):
            yield Call("training run", f"{words[0]}: {name}", ["flow", *words], "cannot be packed", prepare, codes=(1,))


def results() -> Iterator[Call]:
    """Yield calls with stored results that nobody stored."""
    contents = {
        "empty": b"",
        "a list": b"[]",
        "no text": b"\xff\xfe",
        "no JSON": b"{",
        "another form": b'{"recipe": "x"}',
        "deep": b"[" * 100_000,
    }
    words = ["flow", "table", "--results", "results"]

    def stored(content: bytes) -> Prepare:
        def apply(folder: Path) -> None:
            (folder / "results").mkdir()
            damage(folder / "results" / "bireal18-qat.short.json", content)

        return apply

    def edited(change: Callable[[dict], object]) -> Prepare:
        def apply(folder: Path) -> None:
            from brevitas_models.results import FOLDER

            path = sorted(FOLDER.glob("*.json"))[0]
            result = json.loads(path.read_text())
            change(result)
            (folder / "results").mkdir()
            damage(folder / "results" / path.name, json.dumps(result).encode())

        return apply

    for name, content in contents.items():
        yield Call("results", name, words, "is no result of flow", stored(content), codes=(1,))
    for name, change in (
        ("top-1 NaN", lambda result: result["network"]["accuracy"].update(top1=float("nan"))),
        ("top-1 of 101 %", lambda result: result["network"]["accuracy"].update(top1=101)),
        ("no accuracy", lambda result: result["network"].update(accuracy=None)),
        ("an unknown recipe", lambda result: result.update(recipe="x")),
        ("an unknown length", lambda result: result.update(length="x")),
        ("seconds -1", lambda result: result["network"].update(seconds=-1)),
    ):
        yield Call("results", name, words, "is no result of flow", edited(change), codes=(1,), never="101")
    folder = lambda here: (here / "results" / "x.json").mkdir(parents=True)
    yield Call("results", "a folder as a result", words, "is no result of flow", folder, codes=(1,))
    yield Call("results", "a folder without results", words, "no results in", lambda f: (f / "results").mkdir())

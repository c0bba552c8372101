"""The table of calls: those that somebody met or thought of, beside those that are made from the options there are."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import yaml

from tests.abuse import damages, options
from tests.abuse.harness import Call, damage
from tests.abuse.neighbours import neighbours
from tests.abuse.template import BUILD, BUILD_WORDS, CHECKPOINT, IMAGES, LABELS, ONNX, WIDE, WIDTH

FOREIGN = ("flow", "build", "--onnx", ONNX, "--pixels=-1,1", "--output", "new", "--to-step", "export")
WITH_IMAGES = (*FOREIGN, "--images", IMAGES, "--labels", LABELS)
TO_PLAN = (*BUILD_WORDS, "--to-step", "plan")
PACKAGE = f"{BUILD}/deploy"


def every_call(template: Path) -> Iterator[Call]:
    """Yield all calls; ``template`` has a finished build, whose files are damaged one after the other."""
    yield from without_build()
    yield from finished_builds(template)
    yield from plans(template)
    yield from packages(template)
    yield from options.calls()


def without_build() -> Iterator[Call]:
    """Yield calls that need no finished build."""
    yield from foreign_files()
    yield from checkpoints()
    yield from exclusive()
    yield from surroundings()
    yield from neighbours()


def foreign_files() -> Iterator[Call]:
    """Yield calls with QONNX files and images that are damaged."""
    for name, (change, text) in damages.ONNX_FILES.items():
        yield Call("QONNX file", f"inspect: {name}", ["flow", "inspect", ONNX, "--pixels=-1,1"], text, change)
        if name not in ("an unknown node", "a node without hardware"):
            yield Call("QONNX file", f"build: {name}", FOREIGN, text, change)
    for name, (change, text) in damages.IMAGE_FILES.items():
        yield Call("images", f"build: {name}", [*FOREIGN, "--images", IMAGES], text, change)
    for name, array, text in (
        ("too few", np.arange(3), r"integers \[16\]"),
        ("floats", np.zeros(16), r"integers \[16\]"),
        ("negative", np.full(16, -1), "from -1"),
    ):
        yield Call("images", f"labels: {name}", WITH_IMAGES, text, damages.array_of(LABELS, array))
    yield Call("images", "labels without images", [*FOREIGN, "--labels", LABELS], "labels are of images")
    few = [*FOREIGN, "--images", IMAGES, "--fixed-point-bits", "4"]
    yield Call("deviation", "4 bits of fixed point", few, "% of their spread is allowed", never="packaged")
    wide = ["flow", "inspect", WIDE, "--pixels=-1,1"]
    yield Call("QONNX file", f"inspect: a PReLU of {WIDTH} channels", wide, "34 nodes", codes=(0, 1), seconds=20)
    small = [*FOREIGN, "--images", IMAGES, "--tolerance", "1e-9"]
    yield Call("deviation", "a small limit", small, "differ by at most .* is allowed")
    yield Call(
        "deviation", "no --pixels gives a hint", [w for w in FOREIGN if "pixels" not in w], "no --pixels", codes=(0, 1)
    )
    yield Call("deviation", "no --images gives a hint", FOREIGN, "packaged images", codes=(0,), never="CIFAR|top-1")


def checkpoints() -> Iterator[Call]:
    """Yield calls with checkpoints that are damaged, by every command that reads one."""
    for name, (change, text) in damages.CHECKPOINTS.items():
        for command, words in (
            ("eval", ["eval", "--checkpoint", CHECKPOINT, "--images", "4"]),
            ("build", ["build", "--checkpoint", CHECKPOINT, "--width", "4", "--output", "new", "--to-step", "export"]),
            ("ptq", ["ptq", CHECKPOINT, "--output", "new"]),
            ("train", ["train", "--init", CHECKPOINT, "--width", "4"]),
        ):
            said = f"{text}|is qat, not none" if command == "ptq" else text  # what it looks at first
            yield Call("checkpoint", f"{command}: {name}", ["flow", *words], said, change, never="top-1")
    for name, content in (("empty", b""), ("text", b"x"), ("a pickle that runs", pickle.dumps(_Runs()))):
        for words in (["pack", "run"], ["train", "--init", "run/state.pt"]):
            yield Call(
                "checkpoint",
                f"{words[0]}: a state that is {name}",
                ["flow", *words],
                "state",
                _state(content),
                never="weights_only",
            )


class _Runs:
    def __reduce__(self):
        return os.system, ("touch ran",)


def _state(content: bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / "run").mkdir()
        (folder / "run" / "state.pt").write_bytes(content)

    return apply


def exclusive() -> Iterator[Call]:
    """Yield calls with options that exclude each other, and with values that no step can do."""
    rows = {
        "--onnx and --checkpoint": (["build", "--onnx", ONNX, "--checkpoint", CHECKPOINT], "--checkpoint is of"),
        "--onnx and --model": (["build", "--onnx", ONNX, "--model", "bireal18"], "--model is of"),
        "--onnx and --strategy": (["build", "--onnx", ONNX, "--strategy", "qat"], "--strategy is of"),
        "--onnx and --width": (["build", "--onnx", ONNX, "--width", "4"], "--width is of"),
        "--onnx and --voter": (["build", "--onnx", ONNX, "--voter", "maj3"], "--voter is of"),
        "--onnx and --data": (["build", "--onnx", ONNX, "--data", "."], "--data is of"),
        "--images without --onnx": (["build", "--images", IMAGES], "--images is of"),
        "--labels without --onnx": (["build", "--labels", LABELS], "--labels is of"),
        "--pixels without --onnx": (["build", "--pixels", "0,1"], "--pixels is of"),
        "--fixed-point-bits without --onnx": (["build", "--fixed-point-bits", "8"], "--fixed-point-bits is of"),
        "--tolerance without --onnx": (["build", "--tolerance", "0.1"], "--tolerance is of"),
        "an unknown route": (["build", "--route", "vhdl"], "route 'vhdl' is unknown"),
        "--bitfile without Vivado": (["build", "--bitfile"], "vivado"),
        "steps in the wrong order": (["build", "--from-step", "rtl", "--to-step", "plan"], "comes after"),
        "an unknown step": (["build", "--to-step", "place"], "step 'place' is unknown"),
        "--synth that is left out": (["build", "--synth", "--to-step", "plan"], "leave out --synth|Yosys|yosys"),
        "an unknown target": (["build", "--target", "de10"], "target 'de10' is unknown"),
        "eval: --checkpoint and --model": (
            ["eval", "--checkpoint", CHECKPOINT, "--model", "bireal18"],
            "--model names",
        ),
        "eval: --checkpoint and --width": (["eval", "--checkpoint", CHECKPOINT, "--width", "4"], "--width names"),
        "table: a name without --run": (["table", "bireal18-qat"], "give --run"),
        "table: --seed without --run": (["table", "--seed", "2"], "give --run"),
        "train: --length without --recipe": (["train", "--length", "day"], "give --recipe"),
        "train: --distillation without --teacher": (["train", "--distillation", "0.5"], "give --teacher"),
        "train: --recipe and --epochs": (["train", "--recipe", "bireal18-qat", "--epochs", "3"], "what a recipe says"),
        "diff: a stage with itself": (["diff", BUILD, "rtl", "rtl"], "no comparison"),
        "diff: an unknown stage": (["diff", BUILD, "rtl", "vivado"], "stage 'vivado' is unknown"),
        "pixels: NaN": (["build", "--onnx", ONNX, "--pixels", "nan,1"], "finite"),
        "pixels: infinity": (["build", "--onnx", ONNX, "--pixels=-inf,inf"], "finite"),
        "pixels: falling": (["build", "--onnx", ONNX, "--pixels", "1,0"], "the first smaller"),
        "pixels: one": (["inspect", ONNX, "--pixels", "1"], "of the form"),
        "a billion frames a second": (["build", "--fps", "1e9"], "fps"),
        "more frames than pixels can be read": (
            ["build", "--checkpoint", CHECKPOINT, "--width", "4", "--output", "new", "--fps", "900000"],
            "times a second at most",
        ),
        "a plan that is missing": (["build", "--plan", "none.yaml"], "plan none.yaml cannot be read"),
        "data that is missing": (["build", "--data", "none"], "no data set at none"),
        "a network of another width": (
            ["build", "--checkpoint", CHECKPOINT, "--output", "new", "--width", "8"],
            "holds a network with width 4, not 8",
        ),
    }
    for name, (words, text) in rows.items():
        yield Call("options", name, ["flow", *words], text, seconds=20)


def surroundings() -> Iterator[Call]:
    """Yield calls in folders and with data that are not what they should be."""

    def dangling(folder: Path) -> None:
        (folder / "new").symlink_to(folder / "nowhere" / "deep")

    def shared_cache(folder: Path) -> None:
        (folder / "cache" / "flow" / "compiled").mkdir(parents=True)
        (folder / "cache" / "flow" / "compiled").chmod(0o777)

    def jpegs(content: bytes) -> Callable[[Path], None]:
        def apply(folder: Path) -> None:
            (folder / "data" / "test" / "airplane").mkdir(parents=True)
            (folder / "data" / "test" / "airplane" / "broken.jpg").write_bytes(content)

        return apply

    def batch(content: bytes) -> Callable[[Path], None]:
        def apply(folder: Path) -> None:
            (folder / "data").mkdir()
            (folder / "data" / "test_batch").write_bytes(content)

        return apply

    def archive(folder: Path) -> None:
        (folder / "cifar-10-python.tar.gz").write_bytes(b"not it")

    export = ["flow", "build", "--checkpoint", CHECKPOINT, "--width", "4", "--to-step", "export", "--output"]
    yield Call("folders", "--output is a file", [*export, CHECKPOINT], "cannot be a build folder", keeps=(CHECKPOINT,))
    yield Call("folders", "--output is a link to nowhere", [*export, "new"], "", dangling, codes=(0, 1))
    yield Call("folders", "--output cannot be written", [*export, "/sys/flow"], "cannot be a build folder")
    yield Call("folders", "--output is in a device", [*export, "/dev/null/x"], "cannot be a build folder")
    home = {"XDG_CACHE_HOME": "/sys/cache"}
    csim = [*BUILD_WORDS, "--from-step", "csim", "--to-step", "csim"]
    yield Call("folders", "a cache that cannot be written", csim, "XDG_CACHE_HOME", environment=home)
    own = {"XDG_CACHE_HOME": "{here}/cache"}
    yield Call("security", "a cache that others can write", csim, "not yours alone", shared_cache, environment=own)
    evaluate = ["flow", "eval", "--checkpoint", CHECKPOINT, "--data"]
    yield Call("data", "a folder without data", [*evaluate, "."], "no data set at")
    yield Call("data", "a broken JPEG", [*evaluate, "data"], "broken.jpg", jpegs(b"\xff\xd8 broken"))
    yield Call("data", "an empty JPEG", [*evaluate, "data"], "broken.jpg", jpegs(b""))
    yield Call("data", "an archive of other bytes", [*evaluate, "cifar-10-python.tar.gz"], "expected", archive)
    yield Call("data", "a pickle that runs", [*evaluate, "data"], "damaged", batch(pickle.dumps(_Runs())))
    yield Call("data", "a pickle of a number", [*evaluate, "data"], "damaged", batch(pickle.dumps(3)))
    yield Call("data", "an empty batch", [*evaluate, "data"], "damaged", batch(b""))
    for command, words in (("synth", ["synth", "."]), ("timing", ["timing", "."]), ("diff", ["diff", "."])):
        yield Call("folders", f"{command}: no build", ["flow", *words], "is no build folder")
    yield Call("folders", "pack: no run", ["flow", "pack", "."], "no training state")


def finished_builds(template: Path) -> Iterator[Call]:
    """Yield calls on a finished build of which one file was damaged."""
    words = list(BUILD_WORDS)
    yield Call("finished build", "nothing damaged", words, "finished before", codes=(0,), keeps=_results(template))
    seen = set()
    record = json.loads((template / BUILD / "report" / "steps.json").read_text())
    for step, entry in record.items():
        for name in entry["files"]:
            place = (step, name.split("/")[0], Path(name).suffix)
            if place in seen or not (template / BUILD / name).stat().st_size:
                continue
            seen.add(place)
            for what, change in (
                ("half", lambda c: c[: len(c) // 2]),
                ("one bit", lambda c: c[:-1] + bytes([c[-1] ^ 1])),
            ):
                yield Call("finished build", f"{name}: {what}", words, Path(name).name, _changed(name, change))
            yield Call(
                "finished build", f"{name}: missing", [*words, "--to-step", "export"], "", _missing(name), codes=(0, 1)
            )
    tensor = next((template / BUILD / "graphs" / "tensors").iterdir())
    name = str(tensor.relative_to(template / BUILD))
    yield Call("finished build", "a constant: half", words, tensor.name, _changed(name, lambda content: content[:-8]))
    for name in ("report/summary.json", "report/report.json"):
        codes = (0,) if "summary" in name else (1,)
        yield Call(
            "finished build", f"{name}: a better accuracy", words, "", _changed(name, _boast), codes, never=r"99\.9"
        )
    for content in (b"[]", b"{", b"{}", b"\xff", b'{"plan": 3}', b"null"):
        for name in (
            "report/summary.json",
            "report/steps.json",
            "report/plan.json",
            "report/synth.json",
            "report/timing.json",
        ):
            if name == "report/steps.json":  # nothing counts as finished: the first step is done again
                call = [*words, "--to-step", "export"]
                codes: tuple[int, ...] = (0,)
            else:
                call, codes = words, (1,) if name == "report/plan.json" else (0, 1)
            yield Call(
                "finished build", f"{name}: {content!r}", call, "", _changed(name, lambda _, c=content: c), codes
            )
    for stage in ("csim", "rtl"):
        for project in ("hls", "rtl"):
            change = _changed(f"{project}/manifest.json", lambda content: b"{}")
            yield Call(
                "finished build",
                f"diff {stage}: {project}/manifest.json is empty",
                ["flow", "diff", BUILD, "hardware", stage],
                "",
                change,
                codes=(0, 1),
            )


def _boast(report: bytes) -> bytes:
    return report.replace(b'"top1":', b'"top1": 99.9, "was":')


def _results(template: Path) -> tuple[str, ...]:
    names = ("plan.yaml", "deploy.zip", "graphs/hardware.onnx", "report/simulate.json", "report/report.json")
    return tuple(f"{BUILD}/{name}" for name in names)


def _changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / BUILD / name
        damage(path, change(path.read_bytes() if path.exists() else b""))

    return apply


def _missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / BUILD / name).unlink()


def plans(template: Path) -> Iterator[Call]:
    """Yield calls with plans that were edited wrongly."""
    plan = yaml.safe_load((template / BUILD / "plan.yaml").read_text())
    engine = next(name for name, chosen in plan["nodes"].items() if "pe" in chosen)
    window = next(name for name in plan["nodes"] if name.startswith("SlidingWindow"))
    fifo = next(iter(plan["fifos"]))
    edits = {
        "clock 5000": (lambda p: p.update(clock_mhz=5000), "is for 5000 MHz"),
        "clock NaN": (lambda p: p.update(clock_mhz=float("nan")), "clock_mhz"),
        "clock infinite": (lambda p: p.update(clock_mhz=float("inf")), "clock_mhz"),
        "clock 0": (lambda p: p.update(clock_mhz=0), "clock_mhz"),
        "rate NaN": (lambda p: p.update(requested_fps=float("nan")), "requested_fps"),
        "another network": (lambda p: p.update(network="0" * 16), "another network"),
        "another target": (lambda p: p.update(target="kv260"), "is for kv260"),
        "an unknown FIFO": (lambda p: p["fifos"].update(nowhere={"elements": 4}), "FIFO nowhere"),
        "a FIFO of a trillion": (lambda p: p["fifos"][fifo].update(elements=10**12), "elements"),
        "a FIFO of -1": (lambda p: p["fifos"][fifo].update(elements=-1), "elements"),
        "a FIFO in ddr": (lambda p: p["fifos"][fifo].update(memory="ddr"), "memory"),
        "an unknown node": (lambda p: p["nodes"].update(Nothing_0={}), "Nothing_0"),
        "a node less": (lambda p: p["nodes"].pop(engine), engine),
        "pe of a window": (lambda p: p["nodes"][window].update(pe=2), "no pe to choose"),
        "p of an engine": (lambda p: p["nodes"][engine].update(p=2), "no p to choose"),
        "pe 3": (lambda p: p["nodes"][engine].update(pe=3), "must divide"),
        "pe many": (lambda p: p["nodes"][engine].update(pe="many"), "pe"),
        "pe -1": (lambda p: p["nodes"][engine].update(pe=-1), "pe"),
        "simd 7": (lambda p: p["nodes"][engine].update(simd=7), "simd 7"),
        "a field more": (lambda p: p.update(colour="red"), "colour"),
        "no nodes": (lambda p: p.pop("nodes"), "nodes"),
        "nodes are a list": (lambda p: p.update(nodes=[1]), "nodes"),
    }
    for name, (edit, text) in edits.items():
        for place in ("given", "in place"):
            words = [*TO_PLAN, "--plan", "edited.yaml"] if place == "given" else TO_PLAN
            file = "edited.yaml" if place == "given" else f"{BUILD}/plan.yaml"
            yield Call(
                "plan",
                f"{place}: {name}",
                words,
                text,
                _edited(file, edit),
                (1,),
                keeps=(file,),
            )
    for name, content, text in (
        ("empty", "", "is empty"),
        ("a list", "[1, 2]", "holds a list"),
        ("text", "hello", "holds a str"),
        ("no YAML", "nodes: {", "no YAML"),
        ("zeros", "\0\1", "no YAML"),
        ("a node twice", yaml.safe_dump(plan) + f"fifos:\n  {fifo}: {{elements: 2}}\n", "stands twice"),
        ("a tag that runs", "!!python/object/apply:os.system ['touch ran']", "no YAML"),
        ("an anchor that grows", "a: &a [x]\nb: &b [*a, *a]\nnodes: [*b, *b]", "nodes|network"),
    ):
        yield Call("plan", f"given: {name}", [*TO_PLAN, "--plan", "edited.yaml"], text, _text("edited.yaml", content))
    deeper = _edited(
        f"{BUILD}/plan.yaml", lambda p: p["fifos"][fifo].update(elements=p["fifos"][fifo]["elements"] + 64)
    )
    yield Call(
        "plan",
        "in place: a good edit is taken",
        TO_PLAN,
        "was edited: it is taken",
        deeper,
        (0,),
        keeps=(f"{BUILD}/plan.yaml",),
    )
    again = [*TO_PLAN, "--fps", "50"]
    yield Call("plan", "in place: an edit is kept at another rate", again, "kept as", deeper, (0,))


def _edited(name: str, edit: Callable[[dict], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        plan = yaml.safe_load((folder / BUILD / "plan.yaml").read_text())
        edit(plan)
        damage(folder / name, yaml.safe_dump(plan, sort_keys=False).encode())

    return apply


def _text(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: damage(folder / name, content.encode())


def packages(template: Path) -> Iterator[Call]:
    """Yield calls of the driver with packages that were damaged."""
    settings = json.loads((template / PACKAGE / "settings.json").read_text())
    latency = ["deploy", "latency", "--package", PACKAGE, "--platform", "sim", "--repeats", "1"]
    yield Call("package", "nothing damaged", latency, "accelerator", codes=(0,))
    for field in settings:
        for value in (999, "x", None, {}, [], -1):
            if value != settings[field]:
                yield Call(
                    "package",
                    f"{field}: {value!r}",
                    latency,
                    "settings.json",
                    _settings({field: value}),
                    never=r"cycles\]",
                )
    for name in settings["files"]:
        command = {"samples.npz": "validate", "network.npz": "cpu"}.get(name, "latency")
        if name.endswith((".hex", ".bin", ".npz", ".so")) and (template / PACKAGE / name).stat().st_size:
            words = ["deploy", command, "--package", PACKAGE, *(["--platform", "sim"] if command != "cpu" else [])]
            change = _changed(f"deploy/{name}", lambda content: content[: len(content) // 2])
            yield Call("package", f"{name}: half", words, "is damaged", change)
    for content in (b"", b"[]", b"{", b"\xff\xfe", b"null"):
        yield Call(
            "package",
            f"settings.json is {content!r}",
            latency,
            "settings.json",
            _changed("deploy/settings.json", lambda _, c=content: c),
        )
    elsewhere = {"XDG_DATA_HOME": "{here}/elsewhere"}
    yield Call("security", "a simulator of somebody else", latency, "not built by you", environment=elsewhere)
    trusted = {**elsewhere, "POPBIN_TRUST": "1"}
    yield Call("security", "a simulator of somebody trusted", latency, "accelerator", codes=(0,), environment=trusted)
    for option, value in (("--batch", "100000000"), ("--batch", "0"), ("--repeats", "0"), ("--repeats", "-1")):
        yield Call("package", f"{option} {value}", [*latency, option, value], "batch|repeats|memory")
    for command in ("validate", "throughput"):
        for count in ("0", "-1", "1000000000000"):
            words = ["deploy", command, "--package", PACKAGE, "--platform", "sim", "--images", count]
            yield Call("package", f"{command} --images {count}", words, "images|memory")
    run = ["deploy", "run", IMAGES, "--package", PACKAGE, "--platform", "sim"]
    for name, (change, _) in damages.IMAGE_FILES.items():
        yield Call("images", f"deploy run: {name}", run, "", change)
    yield Call("images", "deploy run: of another size", run, "32, 32, 3")


def _settings(changes: dict) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / PACKAGE / "settings.json"
        damage(path, json.dumps({**json.loads(path.read_text()), **changes}).encode())

    return apply

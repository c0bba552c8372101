"""The flow from Python: build, load and inspect, with the options and checks of the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flow.errors import FlowError
from flow.images import load_npy
from flow.options import Options
from flow.plan.plan import Plan
from flow.synth.delays import LEVEL_NS
from flow.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

    from flow.golden import Golden
    from flow.inspection import Inspection
    from flow.sim.rtl import RtlAccelerator, RtlResult
    from flow.synth.report import SynthesisedBuild


def build(
    *,
    network: nn.Module | None = None,
    images: np.ndarray | str | Path | None = None,
    first: str | None = None,
    last: str | None = None,
    fresh: bool = False,
    log: Callable[[str], None] | None = None,
    **options,
) -> Result:
    """Compile a network into a verified accelerator, as ``flow build`` does.

        flow.build(model="bireal18", strategy="qat", target="pynq-z2")
        flow.build(onnx="network.onnx", pixels=(-1, 1))
        flow.build(network=module, images=images)

    Args:
        network: a Brevitas network in evaluation mode, which is exported to QONNX; its input is a float tensor
            [N, C, H, W] that holds ``pixels`` (0 to 255 unless said).
        images: uint8 [N, H, W, C], or a .npy file of them, to calibrate on and to compare with; for ``network`` and
            ``onnx``.
        first, last: steps to start and to end with; all by default.
        fresh: do steps again that an earlier call finished with the same inputs.
        log: is called with every line of progress; without it there is no output.
        options: fields of `flow.Options`.

    Raises:
        FlowError: an option is wrong, or a step cannot be done; what earlier steps wrote stays.
    """
    if network is not None:
        options = _exported(network, images, options)
    elif images is not None:
        options["images"] = _stored_images(images, options)
    checked = Options.checked(**options)

    from flow.run import run

    return Result(run(checked, first, last, log=log or _silent, fresh=fresh).workspace)


def load(folder: str | Path) -> Result:
    """Return the finished build in ``folder``.

    Raises:
        FlowError: there is none.
    """
    folder = Path(folder)
    if not (folder / "graphs").is_dir():
        example = "build/bireal18-qat-pynq-z2"
        raise FlowError(f"{folder} is no build folder: give one that flow build made, such as {example}")
    return Result(Workspace(folder))


def inspect(
    file: str | Path, pixels: tuple[float, float] = (0.0, 255.0), fixed_point_bits: int | None = None
) -> Inspection:
    """Return the contents of a QONNX file: a row for each node, and the nodes that have no hardware, with reasons.

    Args:
        pixels: values of the network's input for pixels 0 and 255.
        fixed_point_bits: bits of the fixed point that real tensors become; without it as few as change no class.

    Raises:
        FlowError: it is no QONNX file that can be read.
    """
    from flow.inspection import inspect_file

    return inspect_file(Path(file), pixels, fixed_point_bits)


class Result:
    """A build in its folder."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    def __repr__(self) -> str:
        return f"flow.load({str(self.folder)!r})"

    @property
    def folder(self) -> Path:
        """The build folder."""
        return self.workspace.folder

    @property
    def summary(self) -> dict:
        """The build's figures: accuracy, operations, plan, simulated cycles, every comparison, seconds.

        Raises:
            FlowError: the build did not come to its last step, or a report is not what its step wrote.
        """
        from flow.report.summary import put_together

        return put_together(self.workspace)

    @property
    def plan(self) -> Plan:
        """Folding, memories and FIFOs; edit it, save it and build again with ``plan=FILE``.

        Raises:
            FlowError: the plan is missing or damaged.
        """
        return Plan.read(self.workspace.plan)

    def golden(self, images: np.ndarray) -> np.ndarray:
        """Return the exact logits int32 [N, classes] of images uint8 [N, H, W, C]."""
        return self._golden.execute(_checked(images))

    def accuracy(self, images: np.ndarray, labels: np.ndarray, source: str = "labels") -> dict:
        """Return the accuracy on images uint8 [N, H, W, C] with labels int [N], of the network and of its integers.

        The network is the QONNX file, or the export of a checkpoint; see `flow.accuracy.side_by_side` for the keys.

        Raises:
            FlowError: images are not the network's or labels no classes (``source`` says whose they are), the network
                gives no classes, or its file is gone or has changed.
        """
        from flow.accuracy import measure
        from flow.images import checked_labels

        images = _checked(images)
        return measure(self.workspace, images, checked_labels(np.asarray(labels), len(images), source), source)

    def simulate(self, images: np.ndarray, **traffic) -> RtlResult:
        """Run images uint8 [N, H, W, C] through the RTL in Verilator; see `flow.sim.rtl.RtlAccelerator.execute`.

        Raises:
            FlowError: the RTL is missing or changed, or the simulation went wrong.
        """
        return self._rtl.execute(_checked(images), **traffic)

    def synth(self, jobs: int | None = None, log: Callable[[str], None] | None = None) -> dict:
        """Synthesise the RTL with Yosys, and return (and store as report/synth.json) the resources by node.

        Args:
            jobs: parts synthesised at a time; as many as processors by default.
            log: is called with a line for every part.

        Raises:
            FlowError: no Yosys is installed, or the RTL is missing or changed.
        """
        return self._stored("synth", lambda: self._synthesised(jobs, log).synth(), log or _silent)

    def timing(
        self, level_ns: float = LEVEL_NS, jobs: int | None = None, log: Callable[[str], None] | None = None
    ) -> dict:
        """Return (and store as report/timing.json) the timing that is estimated from the netlist of Yosys.

        Args:
            level_ns: a LUT with the route to it, in nanoseconds.
            jobs, log: as for `synth`, which is done first where it was not.

        Raises:
            FlowError: as for `synth`.
        """
        return self._stored("timing", lambda: self._synthesised(jobs, log).timing(level_ns), log or _silent)

    def simulate_netlist(
        self, images: np.ndarray, jobs: int | None = None, log: Callable[[str], None] | None = None
    ) -> RtlResult:
        """Run images uint8 [N, H, W, C] through the netlist of Yosys in Verilator, and compare with the golden model.

        Args:
            images: a few: a netlist is some ten times slower than its RTL.
            jobs, log: as for `synth`, which is done first where it was not.

        Raises:
            FlowError: as for `synth`.
            VerificationError: a stream or a logit differs; names the first.
        """
        return self._synthesised(jobs, log).simulate(_checked(images))

    def _synthesised(self, jobs: int | None, log: Callable[[str], None] | None) -> SynthesisedBuild:
        from flow.synth.report import SynthesisedBuild

        return SynthesisedBuild(self.workspace, jobs, log or _silent)

    def _stored(self, name: str, make: Callable[[], dict], log: Callable[[str], None]) -> dict:
        """Return the report that ``make`` makes, stored; that it can be is looked at first, as that takes long."""
        workspace = self.workspace
        with workspace.locked(otherwise="work on a copy of it"):
            workspace.require_writable(f"{name}.json")
            report = make()
            workspace.record.replace("synth", workspace.save_json(name, report))
            self._refresh_summary(log)
        return report

    def _refresh_summary(self, log: Callable[[str], None]) -> None:
        """Put summary.json together again, if there is one."""
        if (self.workspace.reports / "summary.json").is_file():
            try:
                self.workspace.save_json("summary", self.summary)
            except FlowError as error:
                log(f"summary.json is as before: {error}")

    def report(self) -> str:
        """Return the summary as the command line shows it."""
        from flow.report.console import plain_console
        from flow.report.summary import show

        console = plain_console(width=100)
        with console.capture() as capture:
            show(self.summary, console)
        return capture.get().strip()

    @cached_property
    def _golden(self) -> Golden:
        from flow.golden import Golden

        return Golden(self.workspace.load_graph("integer"))

    @cached_property
    def _rtl(self) -> RtlAccelerator:
        from flow.sim.rtl import RtlAccelerator

        return RtlAccelerator(self.workspace.rtl)


def _silent(line: str) -> None:
    pass


def _checked(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise FlowError(f"images are uint8 [N, H, W, C], not {images.dtype} {list(images.shape)}")
    return images


def _without_labels(options: dict) -> dict:
    """Return the options without labels, which belong to images that are not stored yet."""
    return {name: value for name, value in options.items() if name != "labels"}


def _stored_images(images: np.ndarray | str | Path, options: dict) -> Path:
    """Return a file of the images, which the build can read again."""
    if not isinstance(images, np.ndarray):
        return Path(images)
    workspace = Workspace(Options.checked(**_without_labels(options)).folder)
    with workspace.locked():
        workspace.save_array("images", _checked(images))
    return workspace.arrays / "images.npy"


def _exported(network: nn.Module, images: np.ndarray | str | Path | None, options: dict) -> dict:
    """Return the options of a build of ``network``, which is exported into the build folder."""
    if images is None:
        raise FlowError("a network needs images, uint8 [N, H, W, C], to be exported and calibrated with: give images=")
    if taken := {"onnx", "checkpoint", "strategy"} & options.keys():
        raise FlowError(f"network= and {sorted(taken)[0]}= are two networks: give one")
    from brevitas_models.export import export_module

    name = options.get("model") or type(network).__name__.lower()
    placed = Options.checked(**{**_without_labels(options), "model": name, "onnx": Path(f"{name}.onnx")})
    workspace = Workspace(placed.folder)
    images = images if isinstance(images, np.ndarray) else load_npy(Path(images), "images, uint8 [N, H, W, C]")
    path = workspace.folder / f"{name}.onnx"
    height, width, channels = _checked(images).shape[1:]
    with workspace.locked():
        workspace.save_array("images", images)
        export_module(network, path, (1, channels, height, width))
    return {**options, "model": name, "onnx": path, "images": workspace.arrays / "images.npy"}

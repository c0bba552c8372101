"""The steps of a build, in order. Each reads and writes the build folder only, so any can be the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flow.options import Options
from flow.project import check_project
from flow.state import Build
from flow.workspace import Workspace

from .bitfile import bitfile
from .export import export
from .hls import csim, hls
from .package import package
from .plan import plan
from .report import report
from .rtl import rtl, simulate
from .streamline import streamline
from .synth import synth
from .vivado import vivado


@dataclass(frozen=True)
class Step:
    """A function of the build; the options it depends on beside those of earlier steps; what it leaves in the folder.

    ``check``, given the build folder, raises FlowError if something of it was changed since. An ``optional`` step is
    done only if the option of its name is given; a build without it keeps what an earlier one made.
    """

    run: Callable[[Build], None]
    options: tuple[str, ...]
    leaves: tuple[str, ...]
    check: Callable[[Workspace], object] = lambda workspace: None
    optional: bool = False

    @property
    def name(self) -> str:
        """The name of its function."""
        return self.run.__name__

    @property
    def what(self) -> str:
        """What it does, in a sentence: the first paragraph of the function's docstring."""
        return " ".join((self.run.__doc__ or "").split("\n\n")[0].split())

    def is_asked(self, options: Options) -> bool:
        """Return whether ``options`` ask for it."""
        return not self.optional or bool(getattr(options, self.name))


NETWORK = (
    "model",
    "strategy",
    "width",
    "voter",
    "shortcut",
    "padding",
    "norm",
    "checkpoint",
    "onnx",
    "pixels",
    "images",
    "fixed_point_bits",
    "tolerance",
    "golden_images",
)
STEPS = (
    Step(export, NETWORK, ("graphs/export.onnx", "golden/export_logits.npy", "report/export.json")),
    Step(streamline, ("pass_images",), ("graphs/integer.onnx", "golden/golden_logits.npy", "report/streamline.json")),
    Step(
        plan,
        ("target", "clock", "fps", "plan", "route"),
        ("graphs/hardware.onnx", "plan.yaml", "report/planned.yaml", "report/plan.json"),
    ),
    Step(hls, (), ("hls/manifest.json", "report/hls.json"), lambda workspace: check_project(workspace.hls)),
    Step(rtl, (), ("rtl/manifest.json",), lambda workspace: check_project(workspace.rtl)),
    Step(csim, ("csim_images", "csim_unbounded", "stream_images"), ("report/csim.json",)),
    Step(simulate, ("rtl_images",), ("report/simulate.json",)),
    Step(vivado, (), ("vivado", "vivado_hls")),
    Step(bitfile, ("bitfile",), ("report/bitfile.json",), optional=True),
    Step(synth, (), ("report/synth.json", "report/timing.json"), optional=True),
    Step(package, ("accuracy_images", "labels"), ("deploy/settings.json", "deploy.zip")),
    Step(report, ("data",), ("report/report.json",)),
)
NAMES = tuple(step.name for step in STEPS)

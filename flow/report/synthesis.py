"""What the summary says of synthesis: the reports of ``flow synth`` and ``flow timing``, checked."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flow.errors import FlowError
from flow.project import MANIFEST, sha256
from flow.record import way_out
from flow.workspace import Workspace


class _Report(BaseModel):
    """A report as its command writes it, as far as the summary takes something of it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    origin: str
    project: str


class _Resources(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    lut: float
    ff: float
    bram36: float
    dsp: float


class _Synth(_Report):
    accelerator: _Resources
    total: _Resources
    share: _Resources
    memories_not_as_planned: list[dict]


class _Timing(_Report):
    level_ns: float
    worst_ns: float
    slack_ns: float
    fmax_mhz: float
    ready_chain: list[str]
    paths: list[dict] = Field(min_length=1)


def synthesis(workspace: Workspace) -> dict | None:
    """Return Yosys' figures of the RTL that the build has, and its timing; None where it did not run, or not on it.

    Raises:
        FlowError: a report is damaged, of another form, or not what its command wrote.
    """
    if not all((workspace.reports / f"{name}.json").exists() for name in ("synth", "timing")):
        return None
    synth, timing = _checked(workspace, "synth", _Synth), _checked(workspace, "timing", _Timing)
    project = sha256((workspace.rtl / MANIFEST).read_bytes())
    if {synth["project"], timing["project"]} != {project}:
        return None
    figures = ("accelerator", "total", "share", "memories_not_as_planned")
    timed = ("origin", "level_ns", "worst_ns", "slack_ns", "fmax_mhz", "ready_chain")
    return {
        "origin": synth["origin"],
        **{key: synth[key] for key in figures},
        "timing": {**{key: timing[key] for key in timed}, "worst_path": timing["paths"][0]},
    }


def _checked(workspace: Workspace, name: str, form: type[_Report]) -> dict:
    report, path = workspace.load_json(name), workspace.reports / f"{name}.json"
    try:
        form.model_validate(report)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        found = "is missing" if first["type"] == "missing" else f"is {first['input']!r:.60}: {first['msg']}"
        raise FlowError(f"{path} has another form than flow gives it ({where} {found}): {way_out(path)}") from error
    return report  # type: ignore[return-value]

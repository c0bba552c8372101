"""The plan: folding, memory and FIFO depth of every node, as a YAML file that a person can edit."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from qonnx.core.modelwrapper import ModelWrapper

from flow.errors import FlowError
from flow.files import require_file
from flow.graph import hardware_nodes
from flow.plan.target import Target

MOST_ELEMENTS = 1 << 24  # of a FIFO: more than any board's memory
FOLDINGS = ("p", "pe", "simd", "memory")
HEADER = """\
# What every node of the accelerator is given. Edit it and build again with --plan FILE.
#   p: elements a beat.  pe: outputs computed in parallel.  simd: inputs in parallel.
#   memory: where weights are kept: distributed (LUTs), block (BRAM) or ddr.
#   fifos: elements held between two nodes, by the tensor that the first one writes; the HLS project calculates its own.
"""


class NodePlan(BaseModel):
    """What the plan chooses of a node; None where the node has no such choice, or takes its default."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    p: int | None = Field(None, ge=1)
    pe: int | None = Field(None, ge=1)
    simd: int | None = Field(None, ge=1)
    memory: Literal["distributed", "block", "ddr"] | None = None


class FifoPlan(BaseModel):
    """A FIFO: the elements it holds, and the memory that holds them."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    elements: int = Field(ge=2, le=MOST_ELEMENTS)
    memory: Literal["distributed", "block"] = "distributed"


class Plan(BaseModel):
    """Folding of the graph whose ``network`` fingerprint it carries, for one target."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    network: str
    target: str
    clock_mhz: float = Field(gt=0)
    requested_fps: float = Field(gt=0)
    nodes: dict[str, NodePlan]
    fifos: dict[str, FifoPlan]

    def text(self) -> str:
        """Return the plan as YAML with a comment that explains it."""
        return HEADER + yaml.safe_dump(self.model_dump(exclude_none=True), sort_keys=False)

    def save(self, path: Path) -> None:
        """Write the plan as a YAML file."""
        Path(path).write_text(self.text(), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Return the plan of a YAML file.

        Raises:
            FlowError: the file is missing or damaged.
        """
        require_file(path, "the plan.yaml of a build")
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        except OSError as error:
            raise FlowError(f"plan {path} cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            raise FlowError(f"plan {path} is no YAML that can be read: {_first(error)}") from error
        if not isinstance(content, dict):
            what = "is empty" if content is None else f"holds a {type(content).__name__}"
            raise FlowError(f"plan {path} {what}, not nodes and fifos: take the plan.yaml of a build and edit it")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise FlowError(f"plan {path}: {where} is {first['input']!r}: {first['msg']}") from error

    @classmethod
    def load(cls, path: Path, model: ModelWrapper, target: Target) -> Plan:
        """Return the plan of a YAML file for ``model`` on ``target``.

        Raises:
            FlowError: the file is missing or damaged, or the plan is one of another network, target or clock.
        """
        plan = cls.read(path)
        if plan.network != fingerprint(model):
            raise FlowError(f"plan {path} belongs to another network: build without --plan to get one for this network")
        if plan.target != target.name:
            raise FlowError(
                f"plan {path} is for {plan.target}, not {target.name}: build without --plan, or use --target "
                f"{plan.target}"
            )
        if plan.clock_mhz != target.clock_mhz:
            raise FlowError(
                f"plan {path} is for {plan.clock_mhz:g} MHz, and {target.name} runs at {target.clock_mhz:g}: build "
                f"with --clock {plan.clock_mhz:g}, or edit clock_mhz"
            )
        return plan


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML takes the last without a word."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} stands twice", problem_mark=key.start_mark)
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _first(error: Exception) -> str:
    """Return the first line of an error's text, and its line in the file."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    text = getattr(error, "problem", None) or str(error) or type(error).__name__
    return where + str(text).splitlines()[0]


def fingerprint(model: ModelWrapper) -> str:
    """Return 16 hex digits of the graph's structure (kinds, shapes, connections), whatever its weights."""
    digest = hashlib.sha256()
    for node in hardware_nodes(model):
        shapes = [(s.height, s.width, s.channels) for s in (*node.op.inputs(), *node.op.outputs())]
        digest.update(repr((node.kind, node.inputs, node.outputs, shapes, [c.shape for c in node.constants])).encode())
    return digest.hexdigest()[:16]

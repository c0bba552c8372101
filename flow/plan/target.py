"""Boards: what the planner may use, read from flow/targets/*.yaml."""

from __future__ import annotations

from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field

from flow.errors import FlowError
from flow.nodes import Cost


class Resources(BaseModel):
    """Look-up tables, flip-flops, 36-Kbit block RAMs and DSP slices, or fractions of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lut: float = Field(ge=0)
    ff: float = Field(ge=0)
    bram36: float = Field(ge=0)
    dsp: float = Field(ge=0)

    def cost(self) -> Cost:
        """Return the same as a Cost."""
        return Cost(self.lut, self.ff, self.bram36, self.dsp)


class Target(BaseModel):
    """A board; ``usable`` is the fraction of each resource that a design may fill."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    part: str
    board_part: str
    clock_mhz: float = Field(gt=0)
    resources: Resources
    usable: Resources
    platform: Resources
    ddr_gb_per_s: float = Field(gt=0)

    def budget(self) -> dict[str, float]:
        """Return what the accelerator itself may take: the usable part less the platform's share."""
        fields = Resources.model_fields
        return {f: getattr(self.resources, f) * getattr(self.usable, f) - getattr(self.platform, f) for f in fields}


def known_targets() -> list[str]:
    """Return the names of all boards."""
    folder = resources.files("flow").joinpath("targets")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_target(name: str) -> Target:
    """Return the board called ``name``.

    Raises:
        FlowError: it is unknown; the known ones are listed.
    """
    if name not in known_targets():
        raise FlowError(f"target {name!r} is unknown: use one of {', '.join(known_targets())}")
    return Target(**yaml.safe_load(resources.files("flow").joinpath("targets", f"{name}.yaml").read_text()))

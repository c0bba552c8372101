"""Boards: what the planner may use, read from flow/targets/*.yaml."""

from __future__ import annotations

from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flow.errors import FlowError
from flow.nodes import Cost

DIVISORS = range(1, 64)  # of each of the two dividers between a PLL of a Zynq-7000 and a clock of its logic
CLOCK_TOLERANCE = 0.001  # of a clock that is written with few digits: 142.86 is 1000 / 7
PORT_BYTES = 8  # a cycle, of the master that reads weights
PORT_SHARE = 0.95  # of its cycles that bring one


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
    """A board.

    ``usable``: the fraction of each resource that a design may fill. ``pll_mhz``: the clock is this divided by a whole
    number; None where the board makes any. ``processor``: settings of a Zynq-7000's processing system in Vivado,
    without their prefix ``PCW_``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    part: str
    board_part: str
    clock_mhz: float = Field(gt=0)
    pll_mhz: float | None = Field(None, gt=0)
    processor: dict[str, int | float | str] = {}
    resources: Resources
    usable: Resources
    platform: Resources
    ddr_gb_per_s: float = Field(gt=0)

    @model_validator(mode="after")
    def _clock_can_be_made(self):
        if self.pll_mhz is not None:
            divisors(self.pll_mhz, self.clock_mhz)
        return self

    @property
    def delays_known(self) -> bool:
        """Whether the delays behind a node's path_ns and flow timing are this part's: 7 series, speed grade -1."""
        return self.part.startswith("xc7") and self.part.endswith("-1")

    def at(self, clock_mhz: float | None) -> Target:
        """Return the board at another clock; None is its own.

        Raises:
            FlowError: the board cannot make it.
        """
        if clock_mhz is None:
            return self
        try:
            return Target(**{**self.model_dump(), "clock_mhz": clock_mhz})
        except ValidationError as error:
            raise FlowError(f"{self.name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error

    def clocks(self, below_ns: float) -> list[float]:
        """Return the clocks in MHz that it can make and whose period is ``below_ns`` or more, the fastest first; none
        where its own is the only one that is known."""
        if self.pll_mhz is None:
            return []
        products = sorted({first * second for second in DIVISORS for first in DIVISORS})
        return [self.pll_mhz / n for n in products if 1000 * n / self.pll_mhz >= below_ns]

    def ddr_limit(self, clock_mhz: float) -> float:
        """Return the gigabytes of weights a second that can be read: what the memory gives, and the accelerator's one
        port of 64 bits takes at a clock."""
        return min(self.ddr_gb_per_s, PORT_SHARE * PORT_BYTES * clock_mhz / 1000)

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
        FlowError: it is unknown, and the known ones are listed; or a field is unknown or impossible.
    """
    if name not in known_targets():
        raise FlowError(f"target {name!r} is unknown: use one of {', '.join(known_targets())}")
    file = resources.files("flow").joinpath("targets", f"{name}.yaml")
    try:
        return Target(**yaml.safe_load(file.read_text()))
    except ValidationError as error:
        found = [(".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")) for e in error.errors()]
        raise FlowError(f"{file}: " + "; ".join(f"{name} {message}".strip() for name, message in found)) from error


def divisors(pll_mhz: float, clock_mhz: float) -> tuple[int, int]:
    """Return the two divisors by which a PLL's clock becomes ``clock_mhz``, within CLOCK_TOLERANCE, larger one first.

    Raises:
        ValueError: there are none; the message has the clocks above and below.
    """
    pairs = {first * second: (first, second) for second in DIVISORS for first in DIVISORS if second <= first}
    wanted = pll_mhz / clock_mhz
    nearest = min(pairs, key=lambda divisor: abs(divisor - wanted))
    if abs(pll_mhz / nearest - clock_mhz) <= CLOCK_TOLERANCE * clock_mhz:
        return pairs[nearest]
    slower, faster = (n for n in sorted(pairs) if n > wanted), (n for n in sorted(pairs, reverse=True) if n < wanted)
    around = [next(slower, None), next(faster, None)]
    raise ValueError(
        f"the clock cannot be {clock_mhz:g} MHz: it is the PLL's {pll_mhz:g} MHz divided by a whole number; use "
        + " or ".join(f"{pll_mhz / divisor:.6g}" for divisor in around if divisor)
    )

"""Where an accelerator runs: a board, or its simulation. The driver sees registers, buffers and two streams."""

from __future__ import annotations

from ..errors import DeployError, DeviceError
from ..package import Package
from .platform import Platform

PLATFORMS = ("board", "sim")


def open_platform(name: str | None, package: Package) -> Platform:
    """Return the platform ``name``; without one, the board if pynq is installed, else the simulation.

    Raises:
        DeployError: there is no platform of that name.
        DeviceError: the platform cannot be had here, and why.
        PackageError: the package lacks its files.
    """
    if name not in (None, *PLATFORMS):
        raise DeployError(f"platform {name!r} is unknown: use {' or '.join(PLATFORMS)}")
    if name != "sim":
        try:
            from .board import Board

            return Board(package)
        except ModuleNotFoundError as error:
            if name == "board":
                raise DeviceError(
                    f"platform board needs {error.name}: run this on the board, or use --platform sim"
                ) from error
    from .simulated import SimulatedBoard

    return SimulatedBoard(package)

"""Where an accelerator runs: a board, or its simulation. The driver sees registers, buffers and two streams."""

from __future__ import annotations

from platform import machine

from ..errors import DeployError, DeviceError
from ..package import SIMULATOR, Package
from .platform import Platform

PLATFORMS = ("board", "sim")
ENVIRONMENT = "source /etc/profile.d/pynq_venv.sh && source /etc/profile.d/xrt_setup.sh"  # of PYNQ's images, as root


def open_platform(name: str | None, package: Package) -> Platform:
    """Return the platform ``name``; without one, the board if pynq is installed, else the simulation.

    A board without pynq is not taken for a machine that simulates: a Zynq-7000 is known by its processor, and what is
    copied to any board has no simulator.

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
            if name == "board" or machine().startswith("armv7") or not package.has(SIMULATOR):
                raise DeviceError(
                    f"platform board needs {error.name}, which this Python does not have: on the board become root by "
                    f"sudo -i and {ENVIRONMENT}; elsewhere use --platform sim"
                ) from error
    from .simulated import SimulatedBoard

    return SimulatedBoard(package)

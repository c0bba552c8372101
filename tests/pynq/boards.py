"""The driver's board on a simulated device."""

from contextlib import contextmanager

from deploy import Accelerator
from deploy.package import Package
from deploy.platforms.board import Board
from deploy.platforms.pynq_device import PynqDevice


class SimulatedBoard(Board):
    """The board as it is, but its clock counts the accelerator's cycles: a slow machine makes no time-outs."""

    slack = 0.002

    def seconds(self):
        return self.device.seconds()


@contextmanager
def opened(folder, kind=SimulatedBoard, batch=8):
    """An accelerator on a device of its own; closed at the end, even after a failure, for its lock."""
    package = Package.load(folder)
    with Accelerator(package, kind(package, PynqDevice(package)), batch=batch) as accelerator:
        yield accelerator

"""What pools of 2x2 pixels have in common."""

import numpy as np

from .base import HardwareOp
from .cells import Call, Cell
from .stream import Stream


class Pool2x2(HardwareOp):
    """Windows of 2x2 pixels, stride 2, on even sizes: [N, H, W, C] -> [N, H/2, W/2, C]."""

    @staticmethod
    def windows(x: np.ndarray) -> np.ndarray:
        """Return [N, H/2, 2, W/2, 2, C], to be reduced over axes 2 and 4."""
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c)

    def outputs(self):
        return [Stream(self.height // 2, self.width // 2, self.channels, self.p, self.bits)]

    def lag(self):
        """Return how much of a frame it takes in first: a row and two pixels."""
        return (self.width + 2) / self.pixels

    def burst(self):
        """Return the elements of a row of its output, which comes while the second row of its windows does."""
        return self.width // 2 * self.channels

    def taken(self):
        rows, columns, beats = self.height // 2, self.width // 2, self.channels // self.p
        row, column, beat = np.ogrid[:rows, :columns, :beats]
        return (((2 * row + 1) * self.width + 2 * column + 1) * beats + beat + 1).ravel()

    def rtl(self):
        return Cell(self.stem(), self.shape_parameters())

    def hls(self):
        return Call(self.stem(), self.shape_parameters())

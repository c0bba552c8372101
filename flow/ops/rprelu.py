import numpy as np

from .base import Cost, HardwareOp, memory_cost, saturate


class RPReLU(HardwareOp):
    """u = x + before[c];  y = saturate((u if u >= 0 else u >> slope[c]) + after[c]) on ``bits`` bits.

    ReActNet's activation (Liu et al., ECCV 2020, eq. 5) on the residual grid, with slopes 2^-slope: x, y [N, H, W, C] signed;
    before, after [C] on ``bits`` bits, slope [C] in 0 .. bits - 1. The shift is arithmetic, so it floors; u has one bit more
    than x.
    """

    def evaluate(self, x, before, slope, after):
        half = 1 << (self.bits - 1)
        if (
            min(before.min(), after.min()) < -half
            or max(before.max(), after.max()) >= half
            or not 0 <= slope.min() <= slope.max() < self.bits
        ):
            raise ValueError(f"{self.name}: shifts must fit {self.bits} bits and slopes lie in 0..{self.bits - 1}")
        u = x + before
        return saturate(np.where(u >= 0, u, u >> slope) + after, self.bits)

    @property
    def slope_bits(self) -> int:
        """Bits of a slope's shift."""
        return max(1, (self.bits - 1).bit_length())

    def cost(self):
        words = self.channels // self.p
        table = memory_cost(words, self.p * (2 * self.bits + self.slope_bits), "distributed")
        # lines through Yosys estimates of rtl/rprelu.sv
        return Cost(lut=self.p * self.bits * 5 + 8, ff=self.p * (5 * self.bits + self.slope_bits + 2) + 10) + table

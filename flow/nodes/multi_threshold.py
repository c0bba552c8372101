from dataclasses import dataclass

import numpy as np

from .base import HardwareOp
from .cells import Call, Cell, Memory, Table, integer_type
from .cost import Cost, memory_cost, table_style
from .errors import NodeError
from .packing import grouped, words
from .stream import Stream

MOST = 255  # thresholds of a channel


@dataclass(kw_only=True)
class MultiThreshold(HardwareOp):
    """y = base + the number of thresholds t[c][k] that x reaches (x >= t[c][k]), on ``out_bits`` bits; the last
    ``falls`` of a channel's count down instead. x [N, H, W, C] signed on ``bits`` bits, thresholds [C, ``steps`` +
    ``falls``].

    Any function of few steps; one that rises is FINN's node of this name. A threshold of 2^(bits - 1), one above the
    largest value, is never reached.
    """

    steps: int
    falls: int = 0
    base: int = 0
    out_bits: int = 2

    def evaluate(self, x, thresholds):
        reached = [(x >= row).astype(np.int32) for row in thresholds.T]
        return self.base + sum(reached[: self.steps]) - sum(reached[self.steps :])

    def bounds(self, inputs, constants):
        low, high = inputs[0]
        (thresholds,) = constants  # results change at these only
        places = np.concatenate([low[:, None], high[:, None], thresholds - 1, thresholds], axis=1)
        values = self.evaluate(np.clip(places, low[:, None], high[:, None]).T, thresholds)
        return [(values.min(axis=0), values.max(axis=0))]

    @property
    def thresholds(self) -> int:
        """Thresholds of a channel."""
        return self.steps + self.falls

    def outputs(self):
        return [Stream(self.height, self.width, self.channels, self.p, self.out_bits)]

    def _check(self, thresholds):
        if not 1 <= self.steps <= self.thresholds <= MOST or thresholds.shape != (self.channels, self.thresholds):
            counts = f"{self.thresholds} (1 to {MOST})"
            raise NodeError(f"thresholds {list(thresholds.shape)}: must be {counts} of {self.channels} channels")
        low, high = self.outputs()[0].range
        if not self.falls and not low <= self.base <= self.base + self.steps <= high:
            raise NodeError(
                f"results {self.base}..{self.base + self.steps} do not fit {self.out_bits} signed bits: set out_bits"
            )

    def rtl(self, thresholds):
        """Return its module instance, whose thresholds have the bits of x, or one more where some are never reached."""
        self._check(thresholds)
        extend = int(thresholds.max() >= 1 << self.bits - 1)
        bits = self.bits + extend
        values = words(thresholds.reshape(-1, self.p * self.thresholds), bits, "thresholds")
        memory = Memory("ThresholdFile", "thresholds", values, self.p * self.thresholds * bits)
        parameters = {
            "Channels": self.channels,
            "P": self.p,
            "InBits": bits,
            "OutBits": self.out_bits,
            "Rises": self.steps,
            "Falls": self.falls,
            "Base": self.base,
            "MemoryStyle": table_style(self.channels // self.p),
        }
        return Cell("multi_threshold", parameters, (memory,), extend)

    def hls(self, thresholds):
        self._check(thresholds)
        parameters = {
            "Channels": self.channels,
            "P": self.p,
            "InBits": self.bits,
            "OutBits": self.out_bits,
            "Rises": self.steps,
            "Falls": self.falls,
            "Base": self.base,
            "Pixels": self.pixels,
        }
        layout = "[channel / P][channel % P * (Rises + Falls) + k]: one more (or less) in the result from this value on"
        rows = grouped(thresholds.reshape(-1), self.p * self.thresholds)
        return Call("multi_threshold", parameters, (Table("thresholds", integer_type(rows), rows, layout),))

    def cost(self):
        digits = min(self.bits, self.bits / 2 + 3)  # thresholds lie where the sums do: their high digits are one sign
        table = memory_cost(self.channels // self.p, self.p * self.thresholds * digits, "distributed")
        compare = self.p * self.thresholds * (self.bits / 2 + 1)
        count = self.p * (self.thresholds + self.out_bits * (1 + (self.falls > 0)))
        return Cost(lut=compare + count + 8, ff=self.p * (self.thresholds + 2 * self.out_bits) + 8) + table

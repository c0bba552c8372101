from dataclasses import dataclass

from .base import HardwareOp
from .cells import Call, Cell
from .cost import Cost
from .stream import Stream


@dataclass(kw_only=True)
class Sample(HardwareOp):
    """y = x[..., ::ratio]: every ratio-th channel, [N, H, W, C] -> [N, H, W, C / ratio].

    Before a binary layer it makes a sampled voter: the votes of some inputs stand for all. ``ratio`` divides ``p``.
    """

    ratio: int

    def evaluate(self, x):
        return x[..., :: self.ratio]

    def outputs(self):
        return [Stream(self.height, self.width, self.channels // self.ratio, self.p // self.ratio, self.bits)]

    def foldings(self):
        return [p for p in super().foldings() if p % self.ratio == 0]

    def _parameters(self):
        return {"P": self.p, "Bits": self.bits, "Ratio": self.ratio}

    def rtl(self):
        return Cell("sample", self._parameters())

    def hls(self):
        return Call("sample", {**self._parameters(), "Beats": self.inputs()[0].beats})

    def cost(self):
        return Cost()

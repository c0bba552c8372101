"""Pixels as the signed integers that hardware takes."""

from __future__ import annotations

from brevitas.nn import QuantIdentity
from torch import Tensor, nn

from .quantizers import FixedPointActivation

IMAGE_FRACTION = 7  # an image value is (pixel - 128) / 128


class ImageQuant(nn.Module):
    """Pixels of value 0..255 to (pixel - 128) / 128."""

    def __init__(self):
        super().__init__()
        self.quant = QuantIdentity(act_quant=FixedPointActivation, bits=8, fraction=IMAGE_FRACTION, bit_width=8)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.quant((pixels - 128.0) * 2.0**-IMAGE_FRACTION)

"""Binary weight networks: 1-bit weights, activations of several bits (Rastegari et al., ECCV 2016, section 3.1)."""

from __future__ import annotations

from brevitas.nn import QuantIdentity
from torch import Tensor, nn

from .affine import fixed_point
from .config import NetworkConfig
from .convolutions import BinaryScaledConv
from .quantizers import RectifiedActivation
from .shortcuts import StageShortcut


def rectified(config: NetworkConfig, bits: int | None = None) -> QuantIdentity:
    """ReLU and unsigned fixed point of the residual stream's range; ``bits`` None is all that ReLU leaves of it."""
    dropped = 0 if bits is None else config.residual_bits - 1 - bits
    bits, fraction = config.residual_bits - 1 - dropped, config.residual_fraction - dropped
    return QuantIdentity(act_quant=RectifiedActivation, bits=bits, fraction=fraction, bit_width=bits)


class BwnBlock(nn.Module):
    """ResNet's block of two convolutions, each with BatchNorm and ReLU, and the shortcut added before the second ReLU.

    Input and output are [N, C, H, W], not negative, on the residual grid; convolutions take ``config.activation_bits``
    of it. BWN's scale of each output channel, mean|w|, has no constant of its own: BatchNorm divides by it again, and
    what is folded is the one gain of a channel. A dot product is additions and subtractions.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, config: NetworkConfig):
        super().__init__()
        bits = config.activation_bits
        fraction = config.residual_fraction - (0 if bits is None else config.residual_bits - 1 - bits)
        self.narrow = nn.Identity() if bits is None else rectified(config, bits)
        self.first = BinaryScaledConv(inputs, outputs, fraction, 3, stride)
        self.between = rectified(config, bits)
        self.second = BinaryScaledConv(outputs, outputs, fraction, 3)
        self.branch_quant = fixed_point(config, truncate=True)
        changes = stride == 2 or inputs != outputs
        self.shortcut = StageShortcut(inputs, outputs, stride, config) if changes else nn.Identity()
        self.join_quant = fixed_point(config)
        self.relu = rectified(config)

    def scale_branch(self, scale: float) -> None:
        """Sets the BatchNorm scale of the branch."""
        nn.init.constant_(self.second.norm.weight, scale)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch_quant(self.second(self.between(self.first(self.narrow(x)))))
        return self.relu(self.join_quant(self.shortcut(x) + branch))

"""Sums of the majorities of three along a kernel row, by the convolution of conv3x3 and one of a third of its size.

Source: maj(x, y, z) = (x + y + z - xyz) / 2 for x, y, z in {-1, +1}, as in sums.Maj3Sums.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .conv3x3 import conv3x3


class Triples(torch.autograd.Function):
    """Products [N, C, H, W] of every three neighbours of a row, of maps of -1 and +1 with ``pad`` beside them."""

    @staticmethod
    def forward(ctx, x: Tensor, pad: float):
        padded = F.pad(x, (1, 1), value=pad)
        products = padded[..., :-2] * padded[..., 2:]
        products *= x
        ctx.save_for_backward(x, products)
        return products

    @staticmethod
    def backward(ctx, grad: Tensor):
        """A product of signs has the derivative product * x by each of its factors x."""
        x, products = ctx.saved_tensors
        each = grad * products
        total = each.clone()
        total[..., 1:] += each[..., :-1]
        total[..., :-1] += each[..., 1:]
        total *= x
        return total, None


def maj3_sums(x: Tensor, weight: Tensor, pad: float, stride: int = 1) -> Tensor:
    """Sums [N, O, H/stride, W/stride], rounded up, of 3 C majorities each.

    Args:
        x: [N, C, H, W] of -1 and 1, N, C and O being what `usable` asks for.
        weight: [O, C, 3, 3] of -1 and 1.
        pad: value of a border of one pixel, -1 or 1.
        stride: 1 or 2.
    """
    left, middle, right = weight.unbind(3)
    triples = F.pad(Triples.apply(x, pad), (0, 0, 1, 1), value=pad)  # a product of three borders is the border
    return (
        conv3x3(x, weight, pad, stride) - F.conv2d(triples, (left * middle * right).unsqueeze(3), stride=stride)
    ) * 0.5

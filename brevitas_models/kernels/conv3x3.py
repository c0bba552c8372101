"""3x3 convolution of whole numbers: by Winograd's F(4x4, 3x3), a quarter of the multiplications, or directly where maps are small.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (CVPR 2016). The sums of a binary convolution are
whole numbers, so rounding them makes the forward pass exact; gradients carry float32's ordinary rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import LANES, call, channels_first, channels_last

SMALL = 3  # pixels: sides of maps up to which the direct way is the faster one


class Conv3x3(torch.autograd.Function):
    """x [N, C, H, W] and weight [O, C, 3, 3] of -1, 0 and 1, a border of one pixel of value ``pad``: sums [N, O, H, W]."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, pad: float):
        x, weight = channels_last(x), channels_last(weight)
        (n, h, w, c), o = x.shape, len(weight)
        swapped, y = torch.empty(c, 3, 3, o), torch.empty(n, h, w, o)
        call("swapped", weight, swapped, o, c)
        if max(h, w) <= SMALL:
            call("small_forward", x, swapped, y, n, h, w, c, o, pad)
        else:
            transformed = _planes(o, c)
            call("weight_tiles", swapped, transformed, c, o)
            call("conv_forward", x, transformed, y, n, h, w, c, o, pad)
        ctx.pad = pad
        ctx.save_for_backward(x, weight)
        return channels_first(y)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        grad = channels_last(grad)
        (n, h, w, c), o = x.shape, len(weight)
        grad_x, grad_weight = torch.empty(n, h, w, c), torch.empty(o, 3, 3, c)
        if max(h, w) <= SMALL:
            call("small_backward", weight, grad, grad_x, n, h, w, c, o)
            call("small_weights_back", x, grad, grad_weight, n, h, w, c, o, ctx.pad)
        else:
            transformed, grad_transformed = _planes(o, c), _planes(o, c)
            call("weight_tiles", weight, transformed, o, c)
            call("conv_backward", x, transformed, grad, grad_x, grad_transformed, n, h, w, c, o, ctx.pad)
            call("weight_tiles_back", grad_transformed, grad_weight, o, c)
        return channels_first(grad_x), channels_first(grad_weight), None


def _planes(o: int, c: int) -> Tensor:
    """Memory of transformed weights: 36 planes, LANES floats between them."""
    return torch.empty(36, o * c + LANES)


def conv3x3(x: Tensor, weight: Tensor, pad: float) -> Tensor:
    """`Conv3x3` as a function."""
    return Conv3x3.apply(x, weight, pad)

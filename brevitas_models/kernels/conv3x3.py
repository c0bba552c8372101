"""3x3 convolution of whole numbers: by Winograd's F(4x4, 3x3), or directly where maps are small.

F(4x4, 3x3) takes a quarter of the multiplications.
Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (CVPR 2016). The sums of a binary convolution
are whole numbers, so rounding them makes the forward pass exact; gradients carry float32's ordinary rounding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from . import LANES, call, channels_first, channels_last

SMALL = {1: 3, 2: 8}  # pixels: sides of inputs up to which the direct way is the faster one, for each stride


class Conv3x3(torch.autograd.Function):
    """Sums [N, O, H/stride, W/stride], rounded up, as `conv3x3` says; ``small``: directly, which any stride may be."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, pad: float, stride: int, small: bool):
        x, weight = channels_last(x), channels_last(weight)
        (n, h, w, c), o = x.shape, len(weight)
        y = torch.empty(n, -(-h // stride), -(-w // stride), o)
        if small:
            call("small_forward", x, _swapped(weight), y, n, h, w, stride, c, o, pad)
        else:
            transformed = _planes(o, c)
            call("weight_tiles", _swapped(weight), transformed, c, o)
            call("conv_forward", x, transformed, y, n, h, w, c, o, pad)
        ctx.pad, ctx.stride, ctx.small = pad, stride, small
        ctx.save_for_backward(x, weight)
        return channels_first(y)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        grad = channels_last(grad)
        (n, h, w, c), o = x.shape, len(weight)
        grad_x, grad_weight = torch.empty(n, h, w, c), torch.empty(o, 3, 3, c)
        if ctx.small:
            call("small_backward", weight, grad, grad_x, n, h, w, ctx.stride, c, o)
            call("small_weights_back", x, grad, grad_weight, n, h, w, ctx.stride, c, o, ctx.pad)
        else:
            transformed, grad_transformed = _planes(o, c), _planes(o, c)
            call("weight_tiles", weight, transformed, o, c)
            call("conv_backward", x, transformed, grad, grad_x, grad_transformed, n, h, w, c, o, ctx.pad)
            call("weight_tiles_back", grad_transformed, grad_weight, o, c)
        return channels_first(grad_x), channels_first(grad_weight), None, None, None


def _swapped(weight: Tensor) -> Tensor:
    """[O, 3, 3, C] as [C, 3, 3, O]."""
    o, _, _, c = weight.shape
    swapped = torch.empty(c, 3, 3, o)
    call("swapped", weight, swapped, o, c)
    return swapped


def _planes(o: int, c: int) -> Tensor:
    """Memory of transformed weights: 36 planes, LANES floats between them."""
    return torch.empty(36, o * c + LANES)


def conv3x3(x: Tensor, weight: Tensor, pad: float, stride: int = 1) -> Tensor:
    """Sums [N, O, H/stride, W/stride], rounded up, by the faster way.

    Args:
        x: [N, C, H, W] of whole numbers, N, C and O being what `usable` asks for.
        weight: [O, C, 3, 3] of -1, 0 and 1.
        pad: value of a border of one pixel.
        stride: 1 or 2.
    """
    small = max(x.shape[2:]) <= SMALL[stride]
    if small or stride == 1:
        return Conv3x3.apply(x, weight, pad, stride, small)
    return F.conv2d(F.pad(x, (1,) * 4, value=pad), weight, stride=stride)

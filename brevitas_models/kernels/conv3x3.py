"""3x3 convolution of whole numbers by Winograd's F(4x4, 3x3): a quarter of the multiplications.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (CVPR 2016). The sums of a binary convolution are
whole numbers, so rounding them makes the forward pass exact; gradients carry float32's ordinary rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import call, channels_first, channels_last

CHUNK_BYTES = 16 << 20  # of transformed maps at a time, which then stay in the caches


class Conv3x3(torch.autograd.Function):
    """x [N, C, H, W] and weight [O, C, 3, 3] of -1, 0 and 1, a border of one pixel of value ``pad``: sums [N, O, H, W]."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, pad: float):
        x, weight = channels_last(x), channels_last(weight)
        (n, h, w, c), o = x.shape, len(weight)
        transformed = torch.empty(36, o, c)
        call("weight_tiles", weight, transformed, o, c)
        y = torch.empty(n, h, w, o)
        for part in _parts(n, h, w, c + o):
            products = torch.bmm(_input_tiles(x[part], pad), transformed.transpose(1, 2))
            call("output_tiles", products, y[part], *y[part].shape)
        ctx.pad = pad
        ctx.save_for_backward(x, transformed)
        return channels_first(y)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, transformed = ctx.saved_tensors
        grad = channels_last(grad)
        (n, h, w, c), o = x.shape, grad.shape[-1]
        grad_x, grad_transformed = torch.empty(n, h, w, c), torch.zeros(36, o, c)
        for part in _parts(n, h, w, c + o):
            tiles, inner = _input_tiles(x[part], ctx.pad), grad[part]
            products = torch.empty(36, tiles.shape[1], o)
            call("output_tiles_back", inner, products, *inner.shape)
            grad_transformed.baddbmm_(products.transpose(1, 2), tiles)
            torch.bmm(products, transformed, out=tiles)
            call("input_tiles_back", tiles, grad_x[part], *grad_x[part].shape)
        grad_weight = torch.empty(o, 3, 3, c)
        call("weight_tiles_back", grad_transformed, grad_weight, o, c)
        return channels_first(grad_x), channels_first(grad_weight), None


def conv3x3(x: Tensor, weight: Tensor, pad: float) -> Tensor:
    """`Conv3x3` as a function."""
    return Conv3x3.apply(x, weight, pad)


def _tiles(h: int, w: int) -> int:
    return -(-h // 4) * -(-w // 4)


def _parts(n: int, h: int, w: int, channels: int) -> list[slice]:
    """Images of a chunk."""
    count = max(1, CHUNK_BYTES // (4 * 36 * _tiles(h, w) * channels))
    return [slice(start, start + count) for start in range(0, n, count)]


def _input_tiles(x: Tensor, pad: float) -> Tensor:
    """[36, tiles, C] of x [N, H, W, C]."""
    n, h, w, c = x.shape
    tiles = torch.empty(36, n * _tiles(h, w), c)
    call("input_tiles", x, tiles, n, h, w, c, pad)
    return tiles

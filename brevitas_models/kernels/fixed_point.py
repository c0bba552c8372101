"""Signed fixed point with zero gradient where it saturates (quantizers.FixedPoint), in one pass each way."""

from __future__ import annotations

import torch
from torch import Tensor

from . import call


class FixedPointGrid(torch.autograd.Function):
    """x of any shape and dense strides to the grid; magnitudes up to 2^22 steps, which 12 bits are far from."""

    @staticmethod
    def forward(ctx, x: Tensor, low: float, high: float, steps: float, truncate: bool):
        ctx.save_for_backward(x)
        ctx.limits = low, high, steps
        out = torch.empty_like(x)
        call("fixed_point", x, out, low, high, steps, truncate, x.numel())
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x,) = ctx.saved_tensors
        out = torch.empty_like(x)
        if grad.stride() != x.stride():
            grad = torch.empty_like(x).copy_(grad)
        call("fixed_point_back", grad, x, out, *ctx.limits, x.numel())
        return out, None, None, None, None


def dense(x: Tensor) -> bool:
    """Does ``x`` fill its memory without gaps, in float32?"""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x.dtype == torch.float32 and (last or x.is_contiguous())

"""sign(x + shift) of maps with the gradient of quantizers.ApproxSign, and signs of weights with that of ClippedSign."""

from __future__ import annotations

import torch
from torch import Tensor

from . import LANES, call, channels_first, channels_last


class ShiftedSign(torch.autograd.Function):
    """x [N, C, H, W] and shift [C] to -1 and +1."""

    @staticmethod
    def forward(ctx, x: Tensor, shift: Tensor):
        x, shift = channels_last(x), shift.detach().contiguous()
        ctx.save_for_backward(x, shift)
        out, c = torch.empty_like(x), x.shape[-1]
        call("shifted_sign", x, shift, out, x.numel() // c, c)
        return channels_first(out)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, shift = ctx.saved_tensors
        out, c = torch.empty_like(x), x.shape[-1]
        totals = torch.empty(c, dtype=torch.float64)
        call("shifted_sign_back", channels_last(grad), x, shift, out, totals, x.numel() // c, c)
        return channels_first(out), totals.float()


class WeightSign(torch.autograd.Function):
    """weight [O, C, k, k] to -1 and +1, and the mean of its magnitudes, a constant for the gradient."""

    @staticmethod
    def forward(ctx, weight: Tensor):
        weight = channels_last(weight)
        ctx.save_for_backward(weight)
        out, totals = torch.empty_like(weight), torch.empty(LANES, dtype=torch.float64)
        call("weight_sign", weight, out, totals, weight.numel())
        scale = (totals.sum() / weight.numel()).float()
        ctx.mark_non_differentiable(scale)
        return channels_first(out), scale

    @staticmethod
    def backward(ctx, grad: Tensor, _):
        (weight,) = ctx.saved_tensors
        out = torch.empty_like(weight)
        call("weight_sign_back", channels_last(grad), weight, out, weight.numel())
        return channels_first(out)

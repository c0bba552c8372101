"""Variance (of all of them, biased) and mean of maps per channel: torch.var_mean for training on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import kernels
from . import call, channels_first, channels_last


class Moments(torch.autograd.Function):
    """x [N, C, H, W] to variance and mean [C]."""

    @staticmethod
    def forward(ctx, x: Tensor):
        x = channels_last(x)
        c = x.shape[-1]
        centre = x[0, 0, 0].clone()  # of the size of the mean, so that little cancels
        totals = torch.empty(2, c, dtype=torch.float64)
        call("moments", x, centre, totals, x.numel() // c, c)
        means, squares = totals / (x.numel() // c)
        mean = (centre + means).float()
        ctx.save_for_backward(x, mean)
        return (squares - means**2).clamp_min(0).float(), mean

    @staticmethod
    def backward(ctx, of_var: Tensor, of_mean: Tensor):
        x, mean = ctx.saved_tensors
        rows, c, out = x.numel() // x.shape[-1], x.shape[-1], torch.empty_like(x)
        slope = 2 * of_var / rows
        call("moments_back", x, slope, of_mean / rows - slope * mean, out, rows, c)
        return channels_first(out)


def var_mean(x: Tensor) -> tuple[Tensor, Tensor]:
    """Biased variance and mean of x [N, C, H, W], [C] each."""
    if kernels.usable(x.device, x.shape[1]):
        return Moments.apply(x)
    return torch.var_mean(x, dim=(0, 2, 3), unbiased=False)

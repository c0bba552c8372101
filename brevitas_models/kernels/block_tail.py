"""Behind the sums of a binary block: vote, BatchNorm, rounding, addition of the shortcut, and RPReLU, in one function.

With T rows (pixels of all images), v the value of a sum s (its vote, or s itself), and all on the grid of the residual
stream:

    n = (gamma v - mean) / sqrt(var + eps) * weight + bias    BatchNorm with the batch's own mean and variance
    j = clamp(round(clamp(n)) + shortcut)
    out = clamp(floor(clamp(prelu(j + before))) + after)      where there is an activation; the inner clamp a bit wider

Gradients are those of the modules: none where a clamp saturates, rounding as the identity, the vote as
ApproxSign(s / D).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from . import call, channels_first, channels_last


class Grid(NamedTuple):
    """Signed fixed point in units of its step: low..high, ``steps`` to one."""

    low: float
    high: float
    steps: float


class Activation(NamedTuple):
    """RPReLU's parameters [C], the shifts in real units on the grid."""

    before: Tensor
    slope: Tensor
    after: Tensor


class BlockTail(torch.autograd.Function):
    """See `block_tail`."""

    @staticmethod
    def forward(ctx, sums, shortcut, divisor, threshold, gamma, weight, bias, eps, grid, before, slope, after):
        sums, shortcut = channels_last(sums), channels_last(shortcut)
        shape, c = sums.shape, sums.shape[-1]
        rows = sums.numel() // c
        votes, activated = divisor is not None, before is not None
        threshold = threshold.detach().float().contiguous()
        totals = torch.empty(2, c, dtype=torch.float64)
        call("tail_moments", votes, sums, threshold, totals, rows, c)
        mean, square = totals / rows  # of v
        var = square - mean**2
        gamma = gamma.double()
        rstd = (gamma**2 * var + eps).rsqrt()
        scale = (gamma * rstd * weight).float()
        shift = (bias - gamma * mean * rstd * weight).float()
        shifts = [None, None, None]
        if activated:
            shifts = [before.detach() * grid.steps, slope.detach().contiguous(), after.detach() * grid.steps]
        constants = (threshold, scale, shift, *shifts, *grid)
        out = torch.empty(shape)
        call("tail_forward", votes, activated, sums, shortcut, *constants, out, rows, c)
        ctx.constants, ctx.divisor, ctx.grid = constants, divisor, grid
        ctx.statistics = mean, rstd, gamma, weight.detach().double()
        ctx.save_for_backward(sums, shortcut)
        ctx.mark_non_differentiable(mean, var)
        return channels_first(out), (gamma * mean).float(), (gamma**2 * var).float()

    @staticmethod
    def backward(ctx, grad, _mean, _var):
        sums, shortcut = ctx.saved_tensors
        threshold, scale, shift, *_ = ctx.constants
        grad, c = channels_last(grad), sums.shape[-1]
        rows, steps = sums.numel() // c, ctx.grid.steps
        votes, activated = ctx.divisor is not None, ctx.constants[3] is not None
        grad_shortcut, grad_sums = torch.empty_like(sums), torch.empty_like(sums)
        totals = torch.empty(5, c, dtype=torch.float64)
        call("tail_backward", votes, activated, grad, sums, shortcut, *ctx.constants, grad_shortcut, totals, rows, c)
        of_n, of_n_v, of_before, of_slope, of_after = totals
        mean, rstd, gamma, weight = ctx.statistics
        normalised = gamma * rstd * (of_n_v - mean * of_n)  # sum of g * (gamma v - gamma mean) * rstd
        outer = gamma * rstd * weight
        spread = outer * normalised / rows * gamma * rstd
        centre = outer * of_n / rows - spread * mean
        of_vote = torch.zeros(
            2, c, dtype=torch.float64
        )  # per channel: sums of the gradients of u = (s - threshold) / D times -u, and of s
        divisor = float(ctx.divisor) if votes else 1.0
        vectors = [vector.float() for vector in (outer, centre, spread)]
        call(
            "tail_backward_sums",
            votes,
            grad_shortcut,
            sums,
            threshold,
            divisor,
            scale,
            shift,
            *ctx.grid,
            *vectors,
            grad_sums,
            of_vote,
            rows,
            c,
        )
        grads = [x.float() for x in (normalised, of_n)]
        act = [of_before.float(), (of_slope / steps).float(), of_after.float()] if activated else [None] * 3
        of_u = (of_vote[0].sum().float(), -of_vote[1].float()) if votes else (None, None)
        return channels_first(grad_sums), channels_first(grad_shortcut), *of_u, None, *grads, None, None, *act


def block_tail(
    sums: Tensor,
    shortcut: Tensor,
    divisor: Tensor | None,
    threshold: Tensor,
    gamma: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    grid: Grid,
    activation: Activation | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The block's output [N, C, H, W], and the batch's mean and (biased) variance of gamma * v, [C].

    Args:
        sums: [N, C, H, W], whole numbers; no gradient flows to ``gamma``.
        shortcut: the same shape, on the grid.
        divisor: D of the vote's gradient, a scalar; None keeps the sums (strategy none).
        threshold: [C], the least sum that votes +1.
    """
    return BlockTail.apply(
        sums, shortcut, divisor, threshold, gamma, weight, bias, eps, grid, *(activation or (None,) * 3)
    )

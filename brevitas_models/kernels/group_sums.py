"""Sum of the votes of groups of products (sums.GroupedSums), without a matrix product for every group."""

from __future__ import annotations

import torch
from torch import Tensor

from . import LANES, call, channels_first, channels_last

BLOCKS = 4  # of images, whose gradients of the weights are summed apart


class GroupSums(torch.autograd.Function):
    """Padded bits [N, C, H, W] and signs of weights [O, C, k, k] to [N, O, OH, OW].

    ``order`` [n] lists the elements of a weight [C, k, k] in the order in which ``group`` neighbours vote together, +1
    from a sum of ``least`` on; a group's gradient is that of ApproxSign((sum - least) / group).
    """

    @staticmethod
    def forward(ctx, bits: Tensor, weight: Tensor, stride: int, order: Tensor, group: int, least: int):
        x = channels_last(bits)
        (n, h, w, c), (o, _, k, _) = x.shape, weight.shape
        place = torch.arange(k)[:, None] * w * c + torch.arange(k) * c  # of a tap, from a window's first pixel
        offsets = (place[None] + torch.arange(c)[:, None, None]).flatten()[order].contiguous()
        weights = weight.flatten(1)[:, order].view(o // LANES, LANES, -1).transpose(1, 2).contiguous()
        rows, columns = (h - k) // stride + 1, (w - k) // stride + 1
        ctx.sizes = (n, h, w, c, stride, rows, columns, o, len(order), group, float(least))
        ctx.save_for_backward(x, offsets, weights, order)
        out = torch.empty(n, rows, columns, o)
        call("group_sums", x, offsets, weights, out, *ctx.sizes)
        return channels_first(out)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, offsets, weights, order = ctx.saved_tensors
        c, o = x.shape[-1], grad.shape[1]
        blocks = min(BLOCKS, len(x))
        grad_x, grad_weights = torch.zeros_like(x), torch.zeros(blocks, *weights.shape)
        call("group_sums_back", channels_last(grad), x, offsets, weights, grad_x, grad_weights, blocks, *ctx.sizes)
        grad_weight = torch.empty(o, len(order))
        grad_weight[:, order] = grad_weights.sum(0).transpose(1, 2).reshape(o, -1)
        kernel = round((len(order) / c) ** 0.5)
        return channels_first(grad_x), grad_weight.view(o, c, kernel, kernel), None, None, None, None

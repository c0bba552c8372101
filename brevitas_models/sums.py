"""What a voter sums before its last comparison, as differentiable layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .quantizers import ApproxSign, bipolar
from .voters import Voter

ORDERS = {"tap": (1, 2, 0), "row": (1, 0, 2), "channel": (0, 1, 2)}  # of channel, row, column


def in_order(weight: Tensor, order: str) -> Tensor:
    """[..., C, KH, KW] to [..., n], elements in ``order``, the last axis of it fastest."""
    lead = weight.dim() - 3
    return weight.permute(*range(lead), *(lead + axis for axis in ORDERS[order])).flatten(lead)


class Sums(nn.Module):
    """The sums that are voted on: bits [N, C, H, W] (padded) and signed weights [O, C, k, k] to [N, O, OH, OW]."""

    def forward(self, bits: Tensor, weight: Tensor, stride: int) -> Tensor:
        return F.conv2d(bits, weight, stride=stride)


class Maj3Sums(nn.Module):
    """Sum of the majorities of three along a kernel row, by two convolutions.

    maj(x, y, z) = (x + y + z - xyz) / 2 for x, y, z in {-1, +1}; a product of three XNORs is the product of the three
    activations times that of the three weights (DESIGN 3). In float32, where the difference is exact.
    """

    def forward(self, bits: Tensor, weight: Tensor, stride: int) -> Tensor:
        with torch.autocast(bits.device.type, enabled=False):
            bits, weight = bits.float(), weight.float()
            triples = bits[..., :-2] * bits[..., 1:-1] * bits[..., 2:]
            sums = F.conv2d(bits, weight, stride=stride)
            return (sums - F.conv2d(triples, weight.prod(dim=3, keepdim=True), stride=stride)) * 0.5


class GroupedSums(nn.Module):
    """Sum of the votes of every ``group`` neighbouring products, with ApproxSign(s / group) as a group's gradient."""

    def __init__(self, voter: Voter):
        super().__init__()
        self.voter = voter

    def forward(self, bits: Tensor, weight: Tensor, stride: int) -> Tensor:
        outputs, channels, kernel, _ = weight.shape
        windows = bits.unfold(2, kernel, stride).unfold(3, kernel, stride)  # [N, C, OH, OW, k, k]
        windows = in_order(windows.permute(0, 2, 3, 1, 4, 5), self.voter.order)
        rows = in_order(weight, self.voter.order)
        total = torch.zeros((), device=bits.device)
        for start in range(0, rows.shape[1], self.voter.group):
            part = slice(start, start + self.voter.group)
            sums = windows[..., part] @ rows[:, part].T
            total = total + ApproxSign.apply((sums - self.voter.group_threshold) / self.voter.group)
        return total.permute(0, 3, 1, 2)


def sums_of(voter: Voter) -> nn.Module:
    if voter.text == "maj3":
        return Maj3Sums()
    return GroupedSums(voter) if voter.group else Sums()


class GroupVote(torch.autograd.Function):
    """A grouped voter as one node, ``flow.ops.GroupVote``: QONNX has no standard form of it.

    Inputs bits [N, C, H, W], weights [O, C, k, k], both bipolar; output votes [N, O, OH, OW].
    """

    @staticmethod
    def forward(ctx, bits, weight, stride: int, group: int, order: str, group_threshold: int, threshold: int):
        voter = Voter("", group, order, group_threshold, threshold)
        return bipolar(GroupedSums(voter)(bits, weight, stride) - threshold)

    @staticmethod
    def symbolic(g, bits, weight, stride, group, order, group_threshold, threshold):
        return g.op(
            "flow.ops::GroupVote", bits, weight, stride_i=stride, group_i=group, order_s=order,
            group_threshold_i=group_threshold, threshold_i=threshold,
        )  # fmt: skip

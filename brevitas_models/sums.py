"""What a voter sums before its last comparison, as differentiable layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import kernels
from .kernels.group_sums import GroupSums
from .quantizers import ApproxSign, StraightThrough, bipolar
from .voters import Voter

ORDERS = {"tap": (1, 2, 0), "row": (1, 0, 2), "channel": (0, 1, 2)}  # of channel, row, column


def in_order(weight: Tensor, order: str) -> Tensor:
    """[..., C, KH, KW] to [..., n], elements in ``order``, the last axis of it fastest."""
    lead = weight.dim() - 3
    return weight.permute(*range(lead), *(lead + axis for axis in ORDERS[order])).flatten(lead)


def whole_sums(bits: Tensor, weight: Tensor, stride: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sums [N, O, OH, OW], float32, of bits [N, C, H, W] (padded) and signed weights [O, C, k, k], both in {-1, 0, +1}.

    Rounded, as they are whole numbers whatever a library makes of them (Winograd's convolution, TF32). In bfloat16
    those up to 256 are exact, and the sign of all is.
    """
    sums = F.conv2d(bits.to(dtype), weight.to(dtype), stride=stride).float()
    return StraightThrough.apply(sums, False)


class Sums(nn.Module):
    """The sums that are voted on: bits [N, C, H, W] (padded) and signed weights [O, C, k, k] to [N, O, OH, OW]."""

    def forward(self, bits: Tensor, weight: Tensor, stride: int) -> Tensor:
        return F.conv2d(bits, weight, stride=stride)


class Maj3Sums(nn.Module):
    """Sum of the majorities of three along a kernel row, by two convolutions.

    maj(x, y, z) = (x + y + z - xyz) / 2 for x, y, z in {-1, +1}; a product of three XNORs is the product of the three
    activations times that of the three weights. Always in float32, where the difference is exact.
    """

    def forward(self, bits: Tensor, weight: Tensor, stride: int) -> Tensor:
        products = weight[..., :1] * weight[..., 1:2] * weight[..., 2:]  # prod's gradient looks for zeros on the host
        triples = bits[..., :-2] * bits[..., 1:-1] * bits[..., 2:]
        sums = F.conv2d(bits, weight, stride=stride)
        sums = (sums - F.conv2d(triples, products, stride=stride)) * 0.5
        return StraightThrough.apply(sums, False) if sums.is_cuda else sums  # as whole_sums


class GroupedSums(nn.Module):
    """Sum of the votes of every ``group`` neighbouring products, with ApproxSign(s / group) as a group's gradient."""

    def __init__(self, voter: Voter):
        super().__init__()
        self.voter = voter

    def forward(self, bits: Tensor, weight: Tensor, stride: int) -> Tensor:
        size, voter = self.voter.group, self.voter
        if self.training and kernels.usable(bits.device, len(weight)):
            order = in_order(torch.arange(weight[0].numel()).view(weight.shape[1:]), voter.order)
            return GroupSums.apply(bits, weight, stride, order, size, voter.group_threshold)
        return group_sums(bits, weight, stride, self.voter, lambda sums: ApproxSign.apply(sums / size))


def group_sums(bits: Tensor, weight: Tensor, stride: int, voter: Voter, sign) -> Tensor:
    """Sum over all groups of ``sign`` of how far a group's sum is above its threshold, [N, O, OH, OW]."""
    kernel = weight.shape[-1]
    windows = bits.unfold(2, kernel, stride).unfold(3, kernel, stride)  # [N, C, OH, OW, k, k]
    windows = in_order(windows.permute(0, 2, 3, 1, 4, 5), voter.order)
    rows = in_order(weight, voter.order)
    parts = [slice(start, start + voter.group) for start in range(0, rows.shape[1], voter.group)]
    votes = [sign(windows[..., part] @ rows[:, part].T - voter.group_threshold) for part in parts]
    return sum(votes).permute(0, 3, 1, 2)


def sums_of(voter: Voter) -> nn.Module:
    if voter.text == "maj3":
        return Maj3Sums()
    return GroupedSums(voter) if voter.group else Sums()


@torch.library.custom_op("popbin::group_vote", mutates_args=())
def group_vote(
    bits: Tensor, weight: Tensor, stride: int, group: int, order: str, group_threshold: int, threshold: int
) -> Tensor:
    """Votes [N, O, OH, OW] of bits [N, C, H, W] and weights [O, C, k, k], both bipolar.

    One node of an exported graph, ``flow.custom_op.GroupVote``: QONNX has no standard form of a grouped voter.
    """
    voter = Voter("", group, order, group_threshold, threshold)
    return bipolar(group_sums(bits, weight, stride, voter, bipolar) - threshold).contiguous()


@torch.onnx.symbolic_helper.parse_args("v", "v", "i", "i", "s", "i", "i")
def _group_vote_node(g, bits, weight, stride, group, order, group_threshold, threshold):
    votes = g.op(
        "flow.custom_op::GroupVote",
        bits,
        weight,
        stride_i=stride,
        group_i=group,
        order_s=order,
        group_threshold_i=group_threshold,
        threshold_i=threshold,
    )
    votes.setType(
        bits.type().with_sizes([None, torch.onnx.symbolic_helper._get_tensor_dim_size(weight, 0), None, None])
    )
    return votes


torch.onnx.register_custom_op_symbolic("popbin::group_vote", _group_vote_node, 13)

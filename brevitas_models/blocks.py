"""The binary block, and the classifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from torch import Tensor, nn

from . import kernels
from .affine import ChannelAffine, ChannelGain, fixed_point, update_statistics
from .config import PAD_VALUES, NetworkConfig
from .kernels.block_tail import Activation, Grid, block_tail
from .kernels.conv3x3 import conv3x3
from .kernels.maj3 import maj3_sums
from .kernels.shifted_sign import ShiftedSign, WeightSign
from .quantizers import (
    STANDARD,
    BinaryWeightQuant,
    BipolarActivation,
    Int8WeightQuant,
    MajorityVote,
    PopBinVote,
    StraightThrough,
    VoteThreshold,
    channel_magnitudes,
    mean_magnitude,
    standardise,
    vote_threshold,
)
from .rprelu import FixedShift, GridShift, RPReLU
from .shortcuts import StageShortcut
from .sums import group_vote, sums_of, whole_sums
from .voters import Voter, parse_voter


class BinaryNetwork(nn.Module):
    """A network of ``blocks`` with binary convolutions."""

    @property
    def has_kernels(self) -> bool:
        """Do the kernels for CPUs do what is costly in its training? They have BatchNorm behind the sums."""
        return all(isinstance(block, BinaryBlock) and block.normalised for block in self.blocks)

    @torch.no_grad()
    def clip_latent_weights(self) -> None:
        """Keeps the float weights behind the signs in [-1, 1], where their gradient lives; or those of norm bn-free
        standardised."""
        for name, weight in self.named_parameters():
            if is_binary_weight(name):
                standardise(weight) if self.config.norm == "bn-free" else weight.clamp_(-1.0, 1.0)

    def keep_popcounts(self, keep: bool) -> None:
        """Leaves all votes out for the time being, or puts them back; those of strategy none are never there."""
        for block in self.blocks:
            block.keeps_popcounts = keep or self.config.strategy == "none"

    def use_bfloat16(self) -> None:
        """Lets binary convolutions that are voted on compute in bfloat16 in training; all else stays float32.

        bfloat16 rounds sums above 256, which a sign does not see; popcounts that are kept would be wrong by up to 8.
        """
        for block in self.blocks:
            if isinstance(block, BinaryBlock):
                block.votes_dtype = torch.bfloat16

    def scale_branches(self, scale: float) -> None:
        """Sets how large the branch of every residual block is, beside its shortcut."""
        for block in self.blocks:
            block.scale_branch(scale)

    def set_window(self, window: float) -> None:
        """How wide the gradient of all votes is, whose division number is rms; others have their own."""
        for vote in self.modules():
            if isinstance(vote, PopBinVote) and vote.division == "rms":
                vote.window.fill_(window)


def is_binary_weight(name: str) -> bool:
    """Is ``name``, in a state dict, the weight of a binary convolution (not of a shortcut)?"""
    return name.startswith("blocks.") and name.endswith(".conv.weight") and ".shortcut." not in name


class BinaryBlock(nn.Module):
    """[shift,] sign, binary convolution, vote (or popcount), BatchNorm, + shortcut, saturate [, RPReLU].

    Input and output are [N, C, H, W] on the residual grid. The binary convolution is padded with -1 (the bit that a
    hardware window is filled with), with +1 or with 0. ``activated``: ReActNet's learned shift and activation.

    Without BatchNorm (``config.norm``) a learned scale and bias per channel stand in its place, on sums divided by
    sqrt(n): signs have the variance 1, so the branch keeps the size of its scale whatever comes in. With bn-free the
    weights are standardised besides (Brock et al., ICLR 2021, section 3; Chen et al., CVPR Workshops 2021), which here
    is done to the latent weights after every step, so that nothing is left of it but their signs and mean|w|.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, config: NetworkConfig, activated: bool = False, kernel: int = 3
    ):
        super().__init__()
        self.voter = parse_voter(config.voter, kernel)
        self.keeps_popcounts, self.votes_dtype = config.strategy == "none", torch.float32
        self.pad_value, self.padding, self.stride = PAD_VALUES[config.padding], kernel // 2, stride
        self.shift = GridShift(inputs, config) if activated else nn.Identity()
        self.sign = QuantIdentity(act_quant=BipolarActivation)
        self.conv = QuantConv2d(
            inputs // self.voter.sample, outputs, kernel, stride=stride, bias=False, weight_quant=BinaryWeightQuant
        )
        limit = 3**0.5 * STANDARD if config.norm == "bn-free" else 0.1
        nn.init.uniform_(self.conv.weight, -limit, limit)
        self.sums = sums_of(self.voter)
        self.offset = vote_threshold(config.threshold, outputs, inputs // self.voter.sample * kernel**2)
        self.vote = vote(inputs, kernel, config)
        self.norm_kind, self.normalised = config.norm, config.norm == "bn"
        self.norm = ChannelAffine(outputs) if self.normalised else ChannelGain(outputs)
        self.branch_quant = fixed_point(config)
        changes = stride == 2 or inputs != outputs
        self.shortcut = StageShortcut(inputs, outputs, stride, config) if changes else nn.Identity()
        self.join_quant = fixed_point(config)
        self.activation = RPReLU(outputs, config) if activated else nn.Identity()
        half = 2.0 ** (config.residual_bits - 1)
        self.grid = Grid(-half, half - 1, 2.0**config.residual_fraction)

    def gamma(self) -> Tensor:
        """What sums, or votes, are multiplied by before the norm: XNOR-Net's scale of the layer; of norm bn-free that
        of each channel, [C]."""
        weight = self.conv.weight.detach()
        if self.normalised:
            return mean_magnitude(weight)
        unit = weight[0].numel() ** -0.5 if self.keeps_popcounts else 1.0
        if self.norm_kind == "none":
            return weight.new_tensor(unit)
        return channel_magnitudes(weight) * (unit / STANDARD)

    def scale_branch(self, scale: float) -> None:
        """Sets the scale of the branch."""
        nn.init.constant_(self.norm.weight, scale)

    def forward(self, x: Tensor) -> Tensor:
        by_kernels = self.training and self.normalised and self.votes_dtype == torch.float32
        if by_kernels and kernels.usable(x.device, x.shape[1], self.conv.out_channels):
            return self._by_kernels(x)
        bits = self.sign(self.shift(x))
        if self.voter.sample > 1:
            bits = bits[:, :: self.voter.sample]
        sums = self._sums(bits)
        branch = self.branch_quant(
            self.norm(sums if self.keeps_popcounts else self.vote(self.offset(sums)), self.gamma())
        )
        return self.activation(self.join_quant(self.shortcut(x) + branch))

    @property
    def counts_all(self) -> bool:
        """Is the sum of all products taken, not one of groups that vote?"""
        return self.voter.exact or self.keeps_popcounts

    def _sums(self, bits: Tensor) -> Tensor:
        bits = F.pad(bits, (self.padding,) * 4, value=self.pad_value)
        if not self.counts_all:
            return self.sums(bits, self.conv.quant_weight().value, self.stride)
        if self.training or bits.is_cuda:
            dtype = torch.float32 if self.keeps_popcounts else self.votes_dtype
            return whole_sums(bits, self.conv.quant_weight().value, self.stride, dtype)
        return self.conv(bits)

    def _by_kernels(self, x: Tensor) -> Tensor:
        """The same in training, on a CPU."""
        activated, norm, exact = isinstance(self.activation, RPReLU), self.norm, self.counts_all
        bits = ShiftedSign.apply(x, self.shift.rounded().flatten() if activated else x.new_zeros(x.shape[1]))
        if self.voter.sample > 1:
            bits = bits[:, :: self.voter.sample].contiguous(memory_format=torch.channels_last)
        weight, gamma = WeightSign.apply(self.conv.weight)
        own = conv3x3 if exact else maj3_sums if self.voter.text == "maj3" else None
        if own and weight.shape[2:] == (3, 3) and kernels.usable(x.device, bits.shape[1]):
            sums = own(bits, weight, self.pad_value, self.stride)
        else:
            bits = F.pad(bits, (self.padding,) * 4, value=self.pad_value)
            sums = F.conv2d(bits, weight, stride=self.stride) if exact else self.sums(bits, weight, self.stride)
        divisor, threshold = None, x.new_full((len(weight),), self.voter.threshold)
        if not self.keeps_popcounts:
            threshold = self.offset.of(sums) if isinstance(self.offset, VoteThreshold) else threshold
            vote = next(module for module in self.vote.modules() if isinstance(module, PopBinVote))
            divisor = torch.as_tensor(vote.divisor(sums - threshold.view(1, -1, 1, 1) if threshold.any() else sums))
        activation = Activation(*self.activation.constants()) if activated else None
        out, mean, var = block_tail(
            sums, self.shortcut(x), divisor, threshold, gamma, norm.weight, norm.bias, norm.eps, self.grid, activation
        )
        update_statistics(norm, mean, var, sums.numel() / sums.shape[1])
        return out

    def freeze(self) -> None:
        """Turns BatchNorm into its two constants per channel, and a grouped voter into one node, for export."""
        with torch.no_grad():
            self.norm = self.norm.fixed(self.gamma())
            if isinstance(self.offset, VoteThreshold):
                self.offset = FixedShift(-self.offset.of(None).view(1, -1, 1, 1))
        if not self.voter.exact:
            self.sums, self.vote = GroupedVote(self.voter), nn.Identity()


class GroupedVote(nn.Module):
    """``sums`` and ``vote`` of a grouped voter in one exported node."""

    def __init__(self, voter: Voter):
        super().__init__()
        self.voter = voter

    def forward(self, bits: Tensor, weight: Tensor, stride: int) -> Tensor:
        voter = self.voter
        return group_vote(bits, weight, stride, voter.group, voter.order, voter.group_threshold, voter.threshold)


def vote(inputs: int, kernel: int, config: NetworkConfig) -> nn.Module:
    """What stands behind the popcount: PopBin's majority vote, or nothing."""
    if config.strategy == "none":
        return nn.Identity()
    voter = parse_voter(config.voter, kernel)
    return QuantIdentity(
        act_quant=MajorityVote,
        channels=voter.spread(inputs, kernel),
        kernel=kernel,
        division=config.division if config.strategy == "qat" else "one",
        train_alpha=config.train_alpha,
        threshold=voter.threshold,
    )


class Classifier(QuantLinear):
    """8-bit dense layer with its bias rounded to the accumulator grid.

    Input [N, C] on the grid ``2^-input_fraction``; logits [N, classes] are exact integers times
    ``2^-input_fraction * weight scale``; float64 outside of training.
    """

    def __init__(self, inputs: int, classes: int, input_fraction: int):
        super().__init__(inputs, classes, bias=True, weight_quant=Int8WeightQuant)
        self.input_fraction = input_fraction

    def rounded_bias(self, scale: Tensor) -> Tensor:
        step = scale * 2.0**-self.input_fraction
        return StraightThrough.apply(self.bias / step, False) * step

    def forward(self, x: Tensor) -> Tensor:
        weight = self.quant_weight()
        bias = self.rounded_bias(weight.scale)
        if self.training:
            return F.linear(x, weight.value, bias)
        return F.linear(x.double(), weight.value.double(), bias.double())  # sums can leave float32's exact range (2^24)

    def fused(self) -> QuantLinear:
        """The same evaluation as one plain Brevitas layer, which is what is exported."""
        layer = QuantLinear(self.in_features, self.out_features, bias=True, weight_quant=Int8WeightQuant)
        with torch.no_grad():
            layer.weight.copy_(self.weight)
            layer.bias.copy_(self.rounded_bias(self.quant_weight().scale))
        return layer.eval()

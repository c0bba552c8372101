"""Binary layers: what XnorPopcount and WeightStationary have in common, their sums and activations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from .cells import Memory, Table, integer_type
from .cost import Cost, constants_cost
from .dot import by_groups, dot
from .engine import Engine
from .errors import NodeError
from .multiply_shift import shifted
from .packing import grouped, words
from .stream import Interval, saturate, signed_bits

CHANNELS_LAYOUT = "[nf][e]: of output nf * Pe + e"


@dataclass(kw_only=True)
class BinaryEngine(Engine):
    """Sums s = sum(w * x) of signs and their activation:

    - ``majority_vote``: +1 if s >= threshold else -1; 0 is the exact majority, whose tie votes +1. With a ``group``
      G > 0 the voter is hierarchical: every G neighbours (the last group may be shorter) vote first, +1 if their sum is
      ``group_threshold`` or more (0: a tie votes +1, 1: it votes -1), and s is the sum of the group votes.
    - ``threshold``: +1 if s >= threshold[c] else -1; constants threshold [O].
    - ``popcount_scale``: saturate((multiplier * s + offset) >> shift) on ``out_bits`` bits, rounded as MultiplyShift
      says; constants multiplier [O] and offset [O]: the integer multiply that PopBin removes.
    - ``sum``: s on ``out_bits`` bits.

    Where windows are masked, taps outside the map are 0 and have no part in s. Of n signs hardware counts the matches
    p, so s = 2p - n; where windows are masked it counts 2p + the masked signs, so s = count - n. With groups the signs
    are the votes of the groups.
    """

    takes_windows = True

    activation: str = "majority_vote"
    threshold: int = 0
    group: int = 0
    group_threshold: int = 0
    shift: int = 0
    even: int = 0
    out_bits: int = 1

    @property
    def windows_masked(self) -> bool:
        """Whether some taps of a window may be 0."""
        raise NotImplementedError

    @property
    def voters(self) -> int:
        """Signs whose sum is compared: inputs, or groups of them."""
        return math.ceil(self.synapses / self.group) if self.group else self.synapses

    @property
    def output_bits(self) -> int:
        """Bits of an output."""
        return 1 if self.activation in ("majority_vote", "threshold") else self.out_bits

    @property
    def weight_bits(self) -> int:
        return self.synapses * self.features

    def misfit(self):
        if reason := super().misfit():
            return reason
        if self.group and self.windows_masked:
            return f"groups of {self.group} have no majority outside the map: pad with -1 or +1, or set group to 0"
        if self.group and self.simd % self.group and self.group % self.simd:
            way = f"set simd to a multiple or a divisor of {self.group}"
            return f"groups of {self.group} do not fit {self.simd} inputs a beat: {way}"
        return None

    def path_ns(self):
        if self.group <= 9 or self.group > self.simd:
            return super().path_ns()
        return 9.2 + max(0.0, 2.8 * math.log2(self.group / 16))  # matches of a group are counted in one cycle

    def operations(self):
        outputs = self.outputs()[0]
        counts = {"binary_mac": outputs.height * outputs.width * self.weight_bits}
        if self.activation == "popcount_scale":
            counts["popcount_mul"] = outputs.elements
        return counts

    # arithmetic

    def activate(self, windows: np.ndarray, weights: np.ndarray, *constants: np.ndarray) -> np.ndarray:
        """Return the output [N, OH, OW, O] for windows [N, OH, OW, n] and weights [O, n].

        Raises:
            NodeError: a grouped voter on masked windows: a group of zeros has no majority.
        """
        if self.group and not windows.all():
            raise NodeError(f"{self.name}: a grouped voter cannot take windows padded with zeros: pad with -1 or +1")
        sums = partial(group_votes, group=self.group, threshold=self.group_threshold) if self.group else dot
        return self.from_sums(by_groups(sums, windows, weights, self.conv_groups), *constants)

    def from_sums(self, sums: np.ndarray, *constants: np.ndarray) -> np.ndarray:
        """Return the output for sums [..., O]."""
        if self.activation == "popcount_scale":
            multiplier, offset = constants
            return saturate(shifted(sums * multiplier + offset, self.shift, self.even), self.out_bits)
        if self.activation == "sum":
            return sums
        (threshold,) = constants or (self.threshold,)
        return np.where(sums >= threshold, np.int8(1), np.int8(-1))

    def bounds(self, inputs: list[Interval], constants: tuple[np.ndarray, ...]) -> list[Interval]:
        """Return the interval of the output: every activation is monotone in the sum, so its ends are enough."""
        sides = np.full(self.features, -self.voters), np.full(self.features, self.voters)
        results = [self.from_sums(side, *constants[1:]) for side in sides]
        return [(np.minimum(*results), np.maximum(*results))]

    # hardware

    @property
    def most(self) -> int:
        """The largest count."""
        return 2 * self.voters if self.windows_masked else self.voters

    def least_count(self, threshold):
        """Return the least count with s >= threshold, for a number or an array."""
        if self.windows_masked:
            return self.voters + threshold
        return least_matches(self.voters, threshold)

    def voter_rtl(self, *constants: np.ndarray) -> tuple[dict, tuple[Memory, ...]]:
        """Return the parameters and memories of the groups and the activation.

        Raises:
            NodeError: the folding does not fit, all sums would vote the same, or there is no such activation.
        """
        self.require_fit()
        activations = {
            "majority_vote": self._majority_rtl,
            "threshold": self._threshold_rtl,
            "popcount_scale": self._scale_rtl,
            "sum": self._sum_rtl,
        }
        if self.activation not in activations:
            raise NodeError(f"there is no activation {self.activation}: use {', '.join(activations)}")
        groups = {}
        if self.group:
            if not -self.group < self.group_threshold <= self.group:
                raise NodeError(
                    f"with a group_threshold of {self.group_threshold} all groups of {self.group} vote the same"
                )
            groups = {"Group": self.group, "GroupThreshold": self.group_threshold}
        parameters, memories = activations[self.activation](*constants)
        return {**groups, "Activation": self.activation, "OutBits": self.output_bits, **parameters}, memories

    def _majority_rtl(self):
        least = int(self.least_count(self.threshold))
        if not 1 <= least <= self.most:
            raise NodeError(f"with a threshold of {self.threshold} all sums of {self.voters} signs vote the same")
        return {"Threshold": least}, ()

    def _threshold_rtl(self, threshold):
        # a threshold that no sum reaches is one more than the largest count, hence the extra bit
        bits = self.most.bit_length() + 1
        least = grouped(np.clip(self.least_count(threshold), 0, self.most + 1), self.pe)
        return {}, (Memory("ThresholdFile", "thresholds", words(least, bits, "counts", signed=False), self.pe * bits),)

    def _scale_rtl(self, multiplier, offset):
        """Return multiplier * s + offset as constants of the count, with s = scale * count - n."""
        multiplier, offset = multiplier * (1 if self.windows_masked else 2), offset - multiplier * self.voters
        widths = signed_bits(multiplier), max(signed_bits(offset, offset + multiplier * self.most), self.shift + 1)
        parameters = {"MultiplierBits": widths[0], "AccBits": widths[1], "Shift": self.shift, "Even": self.even}
        tables = zip(("Multiplier", "Offset"), (multiplier, offset), widths)
        return parameters, tuple(
            Memory(f"{name}File", suffix, words(grouped(values, self.pe), bits, suffix), self.pe * bits)
            for name, values, bits in tables
            if (suffix := f"{name.lower()}s")
        )

    def _sum_rtl(self):
        self._check_sum()
        return {}, ()

    def _check_sum(self):
        least = signed_bits(self.voters, -self.voters)
        if not least <= self.out_bits <= 32:
            raise NodeError(f"sums of {self.voters} signs on {self.out_bits} bits: set out_bits to {least}..32")

    def voter_hls(self, *constants: np.ndarray) -> tuple[dict, tuple[Table, ...]]:
        """Return the template parameters of the groups and the activation, and the activation's tables.

        Raises:
            NodeError: as `voter_rtl`.
        """
        self.require_fit()
        groups = {"Group": self.group or 1, "GroupThreshold": self.group_threshold if self.group else 0}
        tables = [grouped(values, self.pe) for values in constants]
        match self.activation:
            case "popcount_scale":
                activation, tables = self._scale_hls(*tables)
            case "sum":
                self._check_sum()
                activation = f"flow::sum<{self.out_bits}>"
            case "threshold":
                kind = integer_type(tables[0])
                activation, tables = "flow::threshold", (Table("thresholds", kind, tables[0], CHANNELS_LAYOUT),)
            case "majority_vote":
                activation = f"flow::majority_vote<{self.threshold}>"
            case _:
                raise NodeError(f"there is no activation {self.activation}")
        return {**groups, "Activation": activation}, tuple(tables)

    def _scale_hls(self, multipliers, offsets):
        if self.out_bits > 32 or not 0 <= self.shift < 64:
            raise NodeError(
                f"out_bits {self.out_bits}, shift {self.shift}: HLS takes at most 32 bits and shifts of 0..63"
            )
        pairs = zip(multipliers.ravel().tolist(), offsets.ravel().tolist())
        largest = max(abs(m) * self.voters + abs(b) for m, b in pairs)
        if largest >= 1 << 63:
            raise NodeError(f"multiplier * sum + offset reaches {largest}, beyond 64 bits: scale both down")
        return f"flow::popcount_scale<{self.out_bits}, {self.shift}, {self.even}>", (
            Table("multipliers", integer_type(multipliers, 32), multipliers, CHANNELS_LAYOUT),
            Table("offsets", integer_type(offsets), offsets, CHANNELS_LAYOUT),
        )

    @property
    def sum_bits(self) -> int:
        """Bits of a sum in hardware: signed, about its threshold, for a majority vote; else of a count."""
        if self.activation != "majority_vote":
            return self.most.bit_length()
        least = int(self.least_count(self.threshold))
        return 1 + max((least - 1).bit_length(), max(0, self.most - least).bit_length())

    def lanes_cost(self) -> Cost:
        """Return the cost of ``pe`` lanes: counts, sums and activations.

        Lines through Yosys 0.70's figures of rtl/popcount_lane.sv and of the demo's engines; benchmarks/cost_points.py
        puts them beside more.
        """
        votes = self.simd // self.group if self.group and self.group <= self.simd else 0
        if votes:
            voting = 1.0 if self.group == 3 else 1.2 * self.group + 1
            lut, rank = votes * (voting + 0.85) + 3, votes / 4 + 2
        else:
            lut, rank = 1.2 * self.simd + 2.5, self.simd / 4 + 1.5
        if self.group > self.simd:
            lut += 2.2 * self.group.bit_length() + 1
        lut += self.windows_masked
        lut += {
            "threshold": 0.4 * self.sum_bits,
            "popcount_scale": 2 * self.out_bits + 0.4 * self.shift,
            "sum": self.out_bits - 1,
        }.get(self.activation, 0)
        count = (votes or self.simd * (1 + self.windows_masked)).bit_length()
        kept = 0 if self.activation == "majority_vote" else self.sum_bits
        ff = self.sum_bits + count + rank + 2 * self.output_bits + kept
        return Cost(lut=self.pe * lut, ff=self.pe * ff) + self._constants_cost()

    def _constants_cost(self) -> Cost:
        table = {
            "threshold": self.sum_bits + 1,
            # both reach what is shifted, the multiplier times the sum
            "popcount_scale": max(2 * (self.out_bits + self.shift) - self.sum_bits, 2),
        }.get(self.activation, 0)
        multiply = Cost(dsp=self.pe if self.activation == "popcount_scale" else 0)
        return multiply + constants_cost(self.neuron_fold, self.pe * table)


def group_votes(windows: np.ndarray, weights: np.ndarray, group: int, threshold: int) -> np.ndarray:
    """Return the sums int64 [..., O] of the votes (-1, +1) of every ``group`` neighbours.

    Windows [..., n] and weights [O, n] are bipolar. A group votes +1 if its sum is ``threshold`` or more.

    Groups of three: the majority of x, y, z is (x + y + z - xyz) / 2 for x, y, z in {-1, +1}, so the sum over all
    groups takes two products of matrices, the second on a third of the elements (docs/explanation/voters.md).
    """
    n = windows.shape[-1]
    if group == 3 and n % 3 == 0 and threshold in (0, 1):
        products = [
            array.reshape(*array.shape[:-1], n // 3, 3).astype(np.int64).prod(-1) for array in (windows, weights)
        ]
        return (dot(windows, weights) - dot(*products)) >> 1
    total = 0
    for start in range(0, n, group):
        part = slice(start, start + group)
        total = total + np.where(dot(windows[..., part], weights[:, part]) >= threshold, 1, -1)
    return total


def least_matches(size: int, threshold):
    """Return the fewest matches p among ``size`` signs with 2p - size >= threshold: the circuit compares its popcount
    with it."""
    return (size + threshold + 1) >> 1

"""Integer layers: what IntConv and IntStationary have in common, their sums and how these are scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from .cells import Memory, Table
from .cost import Cost, constants_cost
from .dot import by_groups, dot, dot_bounds
from .engine import Engine
from .errors import NodeError
from .multiply_shift import MultiplyShift
from .packing import fold, grouped, words, wrapped
from .stream import Interval, Stream, signed_bits
from .windows import as_windows

WIDEST_WEIGHT = 8  # in HLS
FLOAT32_EXACT = 1 << 24  # float32 holds every integer up to this magnitude


@dataclass(kw_only=True)
class IntEngine(MultiplyShift, Engine):
    """y = saturate((multiplier[c] * sum(w * x) + bias[c]) >> shift), rounded as MultiplyShift says.

    Inputs: window [N, OH, OW, n] signed (``channels`` = n), weights [O, n], bias [O] on the product's grid, and, where
    the scales are no powers of two (``scaled``), multiplier [O] (1 without it).

    Inputs or weights of one bit are -1 and +1: what they multiply is added or subtracted, without a multiplier.
    ``masked``: inputs of one bit whose windows are padded with 0.
    """

    masked: int = 0
    weight_bits: int = 8  # of one weight
    multiplier_bits: int = 18  # of the widest multiplier

    takes_windows = True
    planned = (*MultiplyShift.planned, "weight_bits", "multiplier_bits")

    def convolve(self, window, weights, bias, multiplier=1):
        """Return the output [N, OH, OW, O]."""
        sums = by_groups(partial(dot, kind=np.float64), window, weights, self.conv_groups)  # exact: far below 2^53
        return self.from_sums(sums, bias, multiplier)

    def quick(self, weights, bias, *multiplier):
        """Return a function of the windows, which takes a few images at a time, in float32 where that holds every
        sum."""
        factors = weights.astype(np.float64)
        reach = int(np.abs(weights).sum(axis=1).max())

        def run(x):
            windows = as_windows(x)
            largest = max(int(windows.map.max()), -int(windows.map.min()), abs(windows.pad_value))
            kind = np.float32 if largest * reach < FLOAT32_EXACT else np.float64
            outputs = []
            for part in windows.parts():
                elements = part.elements(kind)
                rows = elements.reshape(-1, windows.size)
                sums = by_groups(_product, rows, factors.astype(kind, copy=False), self.conv_groups)
                sums = self.from_sums(sums.astype(np.int64), bias, *multiplier)
                outputs.append(sums.reshape(*elements.shape[:3], -1))
            return np.concatenate(outputs)

        return run

    def fitted(self, inputs, constants):
        """Return ``acc_bits``, which hold the sum, its multiple, and that with the bias, and ``multiplier_bits``.

        Raises:
            NodeError: they are more than 64, or a weight of one bit is neither -1 nor +1.
        """
        self._check_weights(constants[0])
        weights, *scale = constants
        widths = {"multiplier_bits": signed_bits(scale[1])} if self.scaled else {}
        return {**self.accumulator(self._sum_bounds(inputs[0], weights), *scale), **widths}

    def _sum_bounds(self, inputs: Interval, weights) -> Interval:
        sides = [np.split(side, self.conv_groups) for side in inputs]
        parts = [dot_bounds(part, rows) for *part, rows in zip(*sides, np.split(weights, self.conv_groups))]
        return tuple(np.concatenate(side) for side in zip(*parts))

    def _check_weights(self, weights) -> None:
        if self.weight_bits == 1 and len(others := weights[np.abs(weights) != 1]):
            raise NodeError(f"a weight is {others[0]}, and one of 1 bit is -1 or +1: set weight_bits to 2 or more")

    def bounds(self, inputs, constants):
        weights, *scale = constants
        return self.from_sum_bounds(self._sum_bounds(inputs[0], weights), *scale)

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.simd, self.bits, masked=bool(self.masked))]

    def outputs(self):
        return [Stream(self.height, self.width, self.features, self.pe, self.out_bits)]

    @property
    def signs(self) -> bool:
        """Whether inputs or weights are signs: what they multiply is added or subtracted."""
        return 1 in (self.bits, self.weight_bits)

    @property
    def corrected(self) -> bool:
        """Whether its sums add what complements are off by, which is no constant (rtl/add_subtract.sv)."""
        return self.bits == 1

    def misfit(self):
        if self.bits == self.weight_bits == 1:
            return "inputs and weights of one bit are an XnorPopcount's: set bits or weight_bits to 2 or more"
        if self.masked and self.bits > 1:
            return f"inputs of {self.bits} bits have a 0 and need no mask: set masked to 0"
        return super().misfit()

    def _parameters(self) -> dict:
        return {
            "Pe": self.pe,
            "Simd": self.simd,
            "InBits": self.bits,
            "Masked": self.masked,
            "WeightBits": self.weight_bits,
            **self.scale_parameters(),
        }

    def rtl_facts(self, weights, bias, *multiplier, subtracted=0) -> tuple[dict, tuple[Memory, ...]]:
        """Return the module's parameters and the memories of its constants.

        ``subtracted`` [O]: what its sums are too small by, as a number that is subtracted counts as its complement.

        Raises:
            NodeError: the folding does not fit, or a constant has too many bits.
        """
        self.require_fit()
        self._check_weights(weights)
        parameters = {"Inputs": self.synapses, "Outputs": self.features, **self._parameters()}
        offset = (self.synapses << max(self.bits, self.weight_bits) - 1 if self.signs else 0) - subtracted
        words(grouped(bias, self.pe), self.acc_bits, "biases")  # as they are, they fit
        biases = wrapped(bias - offset * (multiplier[0] if multiplier else 1), self.acc_bits)
        more, memories = self.scale_memories(self.pe, biases, *multiplier)
        if multiplier:
            largest_sum = int(np.abs(weights).sum(axis=1).max()) << self.bits - 1
            sum_bits = signed_bits(-largest_sum, largest_sum + np.max(offset), np.min(offset) - largest_sum)
            parameters["SumBits"] = sum_bits
        return {**parameters, **more}, memories

    def hls_facts(self, weights, bias, *multiplier) -> tuple[dict, tuple[Table, ...]]:
        """Return the header's template parameters and the tables of its constants.

        Raises:
            NodeError: the folding does not fit, or a weight or a constant has more bits than the header takes.
        """
        if self.weight_bits > WIDEST_WEIGHT:
            raise NodeError(f"weights of {self.weight_bits} bits: the HLS headers take at most {WIDEST_WEIGHT}")
        self.require_fit()
        self._check_weights(weights)
        size = {"Inputs": self.synapses, "Outputs": self.features, "Pixels": self.pixels}
        return {**size, **self._parameters()}, self.scale_tables(self.pe, bias, *multiplier)

    def sums_cost(self) -> Cost:
        """Return the cost of its products, sums, constants, and of what shifts and saturates.

        Lines through Yosys 0.70's figures.
        """
        sum_bits = self.bits + self.weight_bits - 1 + self.synapses.bit_length()
        running = sum_bits if self.scaled else self.acc_bits
        lane = self.products_cost() + Cost(lut=running + 1.5 * self.out_bits, ff=running + 2 * self.out_bits)
        if self.scaled:  # multiply_shift adds the bias in LUTs
            lane = lane + Cost(lut=1.2 * self.acc_bits, dsp=self._multiplier_dsps(sum_bits))
        bits = self.acc_bits + self.scaled * self.multiplier_bits
        constants = constants_cost(self.neuron_fold, self.pe * bits)
        lanes = Cost(*(self.pe * value for value in lane.as_dict().values()))
        return Cost(lut=40, ff=40) + lanes + constants

    def _multiplier_dsps(self, sum_bits: int) -> int:
        """Return the slices of a product of a sum by its multiplier: one multiplies 25 by 18 bits."""
        wide, narrow = max(sum_bits, self.multiplier_bits), min(sum_bits, self.multiplier_bits)
        return -(-wide // 25) * -(-narrow // 18)

    def path_ns(self):
        if not self.signs:
            return super().path_ns()
        column = self.simd * (5 if self.corrected else 2) / 3  # bits of one weight that add_subtract adds
        wide = max(self.bits, self.weight_bits)
        carries = 1.4 * max(0, wide - 4) if self.corrected and self.simd > 4 else 0.0  # through one uneven column
        return round(8.6 + 0.32 * max(0.0, column - 20) + carries, 2)

    def products_cost(self) -> Cost:
        """Return the cost of the products of a beat with the weights of one output, and of their sum.

        Signs take no multipliers (rtl/add_subtract.sv). Yosys multiplies by LUTs where a factor has two bits (a row of
        rtl/product.sv) or the product at most eight, and its price there is a line through 3x3, 3x4 and 4x4 bits.
        """
        narrow, wide, width = *sorted((self.bits, self.weight_bits)), self.bits + self.weight_bits
        if narrow == 1:
            planes, total = self.simd * wide, wide + self.simd.bit_length()
            return Cost(lut=1.13 * planes + 0.65 * self.simd * self.corrected, ff=max(planes / 4, total) + total)
        steeper = 1 + 0.33 * min(max(math.log2(self.simd / 4), 0), 2)  # Yosys adds more than four terms by carry-save
        eights = -(-self.simd // 8) if self.simd > 8 else 0
        adders = (self.simd - 1) * (width + 1) * steeper
        sums = Cost(lut=adders, ff=(width + self.simd.bit_length()) * (1 + eights))
        if narrow == 2:
            return sums + Cost(lut=self.simd * (2 * wide + 1), ff=self.simd * width)
        if width <= 8:
            return sums + Cost(lut=self.simd * max(2.6 * narrow * wide - 15, width), ff=self.simd * width)
        return sums + Cost(dsp=self.simd)

    def packed(self, weights) -> list[int]:
        """Return the words of its weights: of each cycle, or as they come from DDR.

        Raises:
            NodeError: a weight has too many bits, or is no sign where it has one.
        """
        self._check_weights(weights)
        folded = fold(weights, self.pe, self.simd)
        return words(folded, self.weight_bits, "weights", bipolar=self.weight_bits == 1)

    def operations(self):
        """Return the operations a frame: products of int8 or int16 that are added, or ``add_subtract`` where a factor
        is a sign; ``rescale`` counts outputs that are shifted or multiplied."""
        kind = "int8_mac" if max(self.bits, self.weight_bits) <= 8 else "int16_mac"
        products = self.pixels * self.synapses * self.features
        return {"add_subtract" if self.signs else kind: products, "rescale": self.pixels * self.features}


def _product(windows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return windows @ weights.T

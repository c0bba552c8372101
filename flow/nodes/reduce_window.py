from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .cells import Call, Cell, Memory, Table
from .cost import Cost, memory_cost
from .engine import MAX_PE, MAX_SIMD, Engine
from .errors import NodeError
from .multiply_shift import MultiplyShift
from .packing import native_rows, words
from .stream import Stream, divisors, signed_bits
from .windows import Windows

REDUCTIONS = ("sum", "max", "min")
WIDEST_INPUT, WIDEST_WEIGHT = 16, 8  # bits
LEAST_DSP = 9  # bits of a product
ROWS_LAYOUT = "[y]: the first multipliers of a row of outputs"
COLUMNS_LAYOUT = "[x]: how many words after that those of a column are"
WEIGHTS_LAYOUT = "[block * Taps + t], element e: weight of output block * Pe + e and tap t"


@dataclass(kw_only=True)
class ReduceWindow(MultiplyShift, Engine):
    """Windows reduced channel by channel: depthwise convolutions, and pools of windows.

    Inputs: windows [N, OH, OW, C * taps] in the order "block" (``channels`` = C * taps), ``simd`` channels a block,
    ``bits`` wide: bipolar where 1, else signed. ``reduction``:

    - "sum": y = saturate((multiplier[o] * s + bias[o]) >> shift), s the sum of the taps of a channel, or, with
      ``weight_bits``, of their products with weights [O, taps], bipolar where they have 1 bit. Each channel has
      O / C outputs in a row. bias [O], and where ``scaled`` multiplier [O]. ``masked``: taps that are 0 come in
      bipolar windows.
    - "max", "min": the largest or the smallest tap, [N, OH, OW, C]; no constants.

    ``positions``: multipliers depend on the position of a window, by so many pairs of a factor of its row and one of
    its column, whose product is a further factor of the sum: constants rows [OH] and columns [OW] behind the
    multiplier. So means over fewer pixels at the border are on one grid with the others.
    """

    taps: int
    reduction: str = "sum"
    positions: int = 0
    weight_bits: int = 0
    masked: int = 0
    memory: str = "block"

    takes_windows = True
    planned = (*MultiplyShift.planned, "weight_bits")

    @property
    def map_channels(self) -> int:
        """C: channels of the map whose windows come."""
        return self.channels // self.taps

    @property
    def per_channel(self) -> int:
        """Outputs of a channel."""
        return self.features // self.map_channels

    @property
    def blocks(self) -> int:
        """Blocks of a window."""
        return self.map_channels // self.simd

    @property
    def synapses(self) -> int:
        return self.taps

    @property
    def sums(self) -> bool:
        """Whether it adds up: only then does it scale."""
        return self.reduction == "sum"

    # arithmetic

    def by_tap(self, x: np.ndarray) -> np.ndarray:
        """Return windows [..., C * taps], as they are sent, as [..., taps, C]."""
        blocks = x.reshape(*x.shape[:-1], self.blocks, self.taps, self.simd)
        return np.moveaxis(blocks, -2, -3).reshape(*x.shape[:-1], self.taps, self.map_channels)

    def reduced(self, x: np.ndarray, *constants: np.ndarray) -> np.ndarray:
        """Return the output [..., O] of windows [..., taps, C]."""
        if not self.sums:
            return x.max(axis=-2) if self.reduction == "max" else x.min(axis=-2)
        scale = list(constants)
        if self.weight_bits:
            weights = scale.pop(0)
            sums = (self._each_output(x) * weights.T.astype(np.int64)).sum(axis=-2)
        else:
            sums = x.sum(axis=-2, dtype=np.int64)
        if self.positions:
            *scale, rows, columns = scale
            sums = sums * np.multiply.outer(rows, columns)[:, :, None]
        return self.from_sums(sums, *scale)

    def _each_output(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(x, self.per_channel, axis=-1)

    def evaluate(self, x, *constants):
        return self.reduced(self.by_tap(x), *constants)

    def quick(self, *constants):
        """Return a function of the windows, which takes a few images at a time, in whatever order they are sent."""

        def run(x):
            if not isinstance(x, Windows):
                return self.evaluate(x, *constants)
            parts = []
            for part in x.parts():
                elements = replace(part, order="tap").elements()
                parts.append(self.reduced(elements.reshape(*elements.shape[:3], self.taps, -1), *constants))
            return np.concatenate(parts)

        return run

    def bounds(self, inputs, constants):
        low, high = (self.by_tap(side.astype(np.int64)) for side in inputs[0])
        if not self.sums:
            return [(self.reduced(low), self.reduced(high))]
        return self.from_sum_bounds(*self._sums(low, high, constants))

    def fitted(self, inputs, constants):
        """Return ``acc_bits``.

        Raises:
            NodeError: they are more than 64, or the outputs need more bits than weights or inputs may have.
        """
        if not self.sums:
            return {}
        low, high = (self.by_tap(side.astype(np.int64)) for side in inputs[0])
        return self.accumulator(*self._sums(low, high, constants))

    def _sums(self, low, high, constants):
        """Return the interval of the sums for that of the taps [taps, C], and the constants that scale them."""
        scale = list(constants)
        if self.weight_bits:
            weights = scale.pop(0)
            sides = [self._each_output(side) * weights.T for side in (low, high)]
            low, high = np.minimum(*sides), np.maximum(*sides)
        low, high = low.sum(axis=0), high.sum(axis=0)
        if self.positions:
            *scale, rows, columns = scale
            factors = np.multiply.outer(rows, columns)
            ends = [factor * side for factor in (factors.min(), factors.max()) for side in (low, high)]
            low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
        return (low, high), *scale

    # streams and folding

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.simd, self.bits, masked=bool(self.masked))]

    def outputs(self):
        bits = self.out_bits if self.sums else self.bits
        return [Stream(self.height, self.width, self.features, self.pe, bits)]

    def cycles(self):
        return self.inputs()[0].beats

    def taken(self):
        """Return the beats taken before each output: those of all blocks up to its own."""
        return np.arange(1, self.outputs()[0].beats + 1) * self.taps

    def timing(self, first, last):
        """Return the cycles of its first and last beats: a block's taps come first."""
        start, end = MultiplyShift.timing(self, first, last)
        return start + self.taps - 1, end

    def misfit(self):
        if self.map_channels % self.simd:
            return f"simd {self.simd} must divide its {self.map_channels} channels"
        if self.simd > MAX_SIMD:
            return f"simd {self.simd} is above {MAX_SIMD}: lower simd in the plan"
        if self.pe != self.simd * self.per_channel:
            return (
                f"pe {self.pe} must be {self.simd * self.per_channel}, the outputs of simd {self.simd} channels: set "
                "it so in the plan"
            )
        return None

    def simds(self, window):
        return divisors(self.map_channels, min(MAX_SIMD, max(1, MAX_PE // self.per_channel)))

    def pes(self):
        return [simd * self.per_channel for simd in self.simds(None)]

    # hardware

    def _check(self) -> None:
        """Raise NodeError if module and header do not do what the attributes ask for."""
        self.require_fit()
        if self.reduction not in REDUCTIONS:
            raise NodeError(f"reduction {self.reduction!r} is none of {', '.join(REDUCTIONS)}")
        if not self.sums and (self.weight_bits or self.masked or self.scaled or self.features != self.map_channels):
            raise NodeError(
                f"a {self.reduction} has no weights, masks or multipliers, and as many outputs as channels, not "
                f"{self.features} of {self.map_channels}"
            )
        if self.positions and not (self.sums and self.scaled and self.taps > 1):
            raise NodeError("multipliers by position are those of a scaled sum of several taps: set scaled to 1")
        if self.masked and self.bits > 1:
            raise NodeError(f"windows of {self.bits} bits are not masked: pad them with the integer of 0")
        if self.bits > WIDEST_INPUT or self.weight_bits > WIDEST_WEIGHT:
            raise NodeError(
                f"inputs of {self.bits} bits, weights of {self.weight_bits}: at most {WIDEST_INPUT} and {WIDEST_WEIGHT}"
            )

    def _weight_words(self, weights: np.ndarray) -> list[int]:
        rows = weights.reshape(self.blocks, self.pe, self.taps).transpose(0, 2, 1).reshape(-1, self.pe)
        return words(rows, self.weight_bits, "weights", bipolar=self.weight_bits == 1)

    def _sizes(self) -> dict[str, int]:
        return {
            "Taps": self.taps,
            "Channels": self.map_channels,
            "Outputs": self.features,
            "Simd": self.simd,
            "InBits": self.bits,
        }

    def rtl(self, *constants):
        self._check()
        parameters = {"Reduction": self.reduction, **self._sizes()}
        if not self.sums:
            return Cell("reduce_window", {**parameters, "OutBits": self.bits})
        parameters |= {"Masked": self.masked, "WeightBits": self.weight_bits, "MemoryStyle": self.memory}
        memories: tuple[Memory, ...] = ()
        if self.weight_bits:
            weights, *constants = constants
            packed = self._weight_words(weights)
            memories = (Memory("WeightFile", "weights", packed, self.pe * self.weight_bits),)
        low, high = Stream(1, 1, 1, 1, self.bits).range
        ends = (np.full((self.taps, self.map_channels), end) for end in (low, high))
        sums, *_ = self.variant(positions=0)._sums(*ends, [*([weights] if self.weight_bits else [])])
        walk: tuple[Memory, ...] = ()
        if self.positions:
            bias, multiplier, rows, columns = self._by_position(*constants)
            constants, bits = (bias, multiplier), max(1, (len(multiplier) // self.pe - 1).bit_length())
            parameters |= {"Rows": self.height, "Columns": self.width, "Positions": self.positions}
            tables = (("RowFile", "rows", rows), ("ColumnFile", "columns", columns))
            walk = tuple(Memory(name, suffix, first.tolist(), bits) for name, suffix, first in tables)
        more, scale = self.scale_memories(self.pe, *constants)
        parameters |= {**self.scale_parameters(), **more}
        if self.scaled:
            parameters["SumBits"] = signed_bits(*sums)
        return Cell("reduce_window", parameters, (*memories, *scale, *walk))

    def _by_position(self, bias, multiplier, rows, columns):
        """Return bias, the multipliers of one position after the other, and the first word of them for each row and,
        to be added to it, for each column."""
        (row_factors, row), (column_factors, column) = (
            np.unique(side, return_inverse=True) for side in (rows, columns)
        )
        factors = np.multiply.outer(row_factors, column_factors).reshape(-1)
        if len(factors) != self.positions:
            raise NodeError(f"it has factors of {len(factors)} positions, not {self.positions}: set positions so")
        words_a_row = len(column_factors) * self.blocks
        return bias, np.multiply.outer(factors, multiplier).reshape(-1), row * words_a_row, column * self.blocks

    def hls(self, *constants):
        self._check()
        parameters = {**self._sizes(), "Rows": self.height, "Columns": self.width}
        if not self.sums:
            largest = {"Largest": int(self.reduction == "max")}
            return Call("extreme_pool", {**parameters, **largest}, header="reduce_window")
        parameters |= {"Masked": self.masked, **self.scale_parameters()}
        if self.weight_bits:
            weights, *constants = constants
        walk: tuple[Table, ...] = ()
        if self.positions:
            bias, multiplier, rows, columns = self._by_position(*constants)
            constants = bias, multiplier
            layouts = (("rows", rows, ROWS_LAYOUT), ("columns", columns, COLUMNS_LAYOUT))
            walk = tuple(Table(name, "int32_t", first[:, None], layout) for name, first, layout in layouts)
        scale = (*self.scale_tables(self.pe, *constants), *walk)
        if not self.weight_bits:
            return Call("sum_pool", parameters, scale, header="reduce_window")
        rows = native_rows(self._weight_words(weights), self.pe * self.weight_bits)
        table = Table("weights", *rows, WEIGHTS_LAYOUT, self.memory)
        parameters = {**parameters, "WeightBits": self.weight_bits}
        return Call("depthwise", parameters, (table, *scale), header="reduce_window")

    def operations(self):
        """Return the operations a frame; a pool has none."""
        if not self.weight_bits:
            return {}
        kind = "binary_mac" if self.bits == self.weight_bits == 1 else "int8_mac"
        return {kind: self.pixels * self.taps * self.features}

    def cost(self):
        """Return its estimated resources: lines through Yosys 0.70's figures (benchmarks/cost_points.py)."""
        if not self.sums:
            return Cost(lut=8 + self.pe * (1 + 1.8 * self.bits), ff=7 + 3 * self.pe * self.bits)
        sum_bits = self.bits + max(self.weight_bits, 1) - 1 + self.taps.bit_length()
        scaled = self.scale_cost(self.pe, self.blocks, sum_bits, max(1, self.positions))
        if self.positions:
            scaled = scaled + Cost(lut=15, ff=8)  # what finds the set of a window
        if not self.weight_bits:
            return scaled
        weights = memory_cost(self.blocks * self.taps, self.pe * self.weight_bits, self.memory)
        return scaled + weights + Cost(lut=25, ff=10 + self.simd * self.bits) + self._product_cost().times(self.pe)

    def _product_cost(self) -> Cost:
        """Return the cost of a product: one carry chain where a factor has up to two bits, else a DSP slice from 9 bits
        on, and below that LUTs."""
        bits, width = min(self.bits, self.weight_bits), self.bits + self.weight_bits
        if bits <= 2:
            return Cost(lut=width, ff=width)
        return Cost(dsp=1) if width >= LEAST_DSP else Cost(lut=1.95 * self.bits * self.weight_bits, ff=width)

from __future__ import annotations

from dataclasses import dataclass

from .cells import Call, Cell, Memory, Table
from .cost import Cost, memory_cost, ram_cost
from .engine import MOST_PIXELS
from .errors import NodeError
from .int_engine import IntEngine
from .int_stationary import IntStationary
from .packing import native_rows

WEIGHTS_LAYOUT = "[nf * SF + sf], element e * Simd + i: weight of input sf * Simd + i for output nf * Pe + e"


@dataclass(kw_only=True)
class IntConv(IntEngine):
    """Integer convolution of windows, or the classifier (see IntEngine)."""

    memory: str = "block"

    streamable = True
    ddr_lag = IntStationary.LAG

    def evaluate(self, window, weights, bias, multiplier=1):
        return self.convolve(window, weights, bias, multiplier)

    def cycles(self):
        return self.pixels * self.neuron_fold * self.synapse_fold

    def worth_ddr(self):
        return self.pixels <= MOST_PIXELS

    def why_not_ddr(self, window):
        return self._streamed().why_not()

    def from_ddr(self, window):
        streamed = self._streamed()
        if reason := streamed.why_not():
            raise NodeError(reason)
        return streamed

    def _streamed(self) -> IntStationary:
        same = {name: value for name, value in self.values().items() if name != "memory"}
        return IntStationary(name=self.name.replace(self.kind, IntStationary.__name__), **same)

    def rtl(self, weights, bias, *multiplier):
        subtracted = (weights < 0).sum(axis=1) if self.weight_bits == 1 else 0
        parameters, constants = self.rtl_facts(weights, bias, *multiplier, subtracted=subtracted)
        folded = Memory("WeightFile", "weights", self.packed(weights), self.pe * self.simd * self.weight_bits)
        own = {"ConvGroups": self.conv_groups, "Corrected": int(self.corrected), "MemoryStyle": self.memory}
        return Cell("int_conv", {**parameters, **own}, (folded, *constants))

    def hls(self, weights, bias, *multiplier):
        parameters, constants = self.hls_facts(weights, bias, *multiplier)
        rows = native_rows(self.packed(weights), self.pe * self.simd * self.weight_bits)
        table = Table("weights", *rows, WEIGHTS_LAYOUT, self.memory)
        return Call("int_conv", {**parameters, "ConvGroups": self.conv_groups}, (table, *constants))

    def cost(self):
        replay = ram_cost(self.synapse_fold, self.simd * self.bits, "distributed") if self.neuron_fold > 1 else Cost()
        bits = self.pe * self.simd * self.weight_bits
        beat = Cost(ff=self.simd * self.bits)
        return self.sums_cost() + beat + replay + memory_cost(self.neuron_fold * self.synapse_fold, bits, self.memory)

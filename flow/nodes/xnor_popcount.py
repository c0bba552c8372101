from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .binary_engine import BinaryEngine
from .cells import Call, Cell, Memory, Table
from .cost import Cost, memory_cost, ram_cost
from .engine import MOST_PIXELS
from .errors import NodeError
from .packed import BinaryLayer
from .packing import fold, native_rows, words
from .stream import Stream
from .weight_stationary import WeightStationary
from .windows import Windows, as_windows

WORDS_LAYOUT = "[nf * SF + sf], bit e * Simd + i: weight of input sf * Simd + i for output nf * Pe + e; 1 is +1"
DEEP = 8192  # words of weights beyond which multiplexers between block RAMs take time


@dataclass(kw_only=True)
class XnorPopcount(BinaryEngine):
    """Binary dot products of windows with their activation (see BinaryEngine).

    Inputs: window [N, OH, OW, n] bipolar (``channels`` = n; 0 marks taps outside the map where ``masked``), weights [O,
    n] bipolar, and the activation's constants.
    """

    masked: int = 0
    memory: str = "block"

    streamable = True
    ddr_lag = WeightStationary.LAG

    def evaluate(self, window, weights, *constants):
        return self.activate(window, weights, *constants)

    def quick(self, weights, *constants):
        if self.conv_groups > 1:
            return lambda x: np.concatenate(
                [self.evaluate(part.elements(), weights, *constants) for part in as_windows(x).parts()]
            )
        layer = BinaryLayer(self, weights, *constants)
        if not self.masked:
            return layer
        # packed bits have no third value: windows with zeros that are laid out already go the plain way
        return lambda x: layer(x) if isinstance(x, Windows) else self.evaluate(x, weights, *constants)

    @property
    def windows_masked(self):
        return bool(self.masked)

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.simd, 1, masked=self.windows_masked)]

    def outputs(self):
        return [Stream(self.height, self.width, self.features, self.pe, self.output_bits)]

    def cycles(self):
        return self.pixels * self.neuron_fold * self.synapse_fold

    def why_not_ddr(self, window):
        if self.conv_groups > 1:
            return "the weights of a grouped convolution do not come from DDR"
        if self.masked and not WeightStationary.absorbs_window(window):
            return "its windows hold zeros outside the map, which it takes of square ones only: pad with -1 or +1"
        return self._streamed(window).why_not()

    def absorbs(self, window):
        return WeightStationary.absorbs_window(window)

    def worth_ddr(self):
        return self.pixels <= MOST_PIXELS

    def from_ddr(self, window):
        if reason := self.why_not_ddr(window):
            raise NodeError(reason)
        return self._streamed(window)

    def _streamed(self, window) -> WeightStationary:
        """Return the node with weights from DDR: it gathers square windows of order "tap" from the map itself, and
        takes others as the channels of its map."""
        if WeightStationary.absorbs_window(window):
            names = ("height", "width", "channels", "kernel", "stride", "padding", "pad_value")
            geometry = {name: getattr(window, name) for name in names}
        else:
            names = ("height", "width", "channels")
            geometry = {**{name: getattr(self, name) for name in names}, "kernel": 1, "pad_value": -1}
        same = (
            "features",
            "pe",
            "simd",
            "activation",
            "threshold",
            "group",
            "group_threshold",
            "shift",
            "even",
            "out_bits",
        )
        return WeightStationary(
            name=self.name.replace(self.kind, WeightStationary.__name__),
            bits=1,
            **geometry,
            **{name: getattr(self, name) for name in same},
        )

    def rtl(self, weights, *constants):
        voter, memories = self.voter_rtl(*constants)
        parameters = {
            "Inputs": self.synapses,
            "Outputs": self.features,
            "Pe": self.pe,
            "Simd": self.simd,
            "ConvGroups": self.conv_groups,
            "Masked": self.masked,
            **voter,
            "MemoryStyle": self.memory,
        }
        packed = words(fold(weights, self.pe, self.simd), 1, "weights", bipolar=True)
        return Cell(
            "xnor_popcount", parameters, (Memory("WeightFile", "weights", packed, self.pe * self.simd), *memories)
        )

    def hls(self, weights, *constants):
        voter, tables = self.voter_hls(*constants)
        parameters = {
            "Inputs": self.synapses,
            "Outputs": self.features,
            "Pixels": self.pixels,
            "Pe": self.pe,
            "Simd": self.simd,
            "ConvGroups": self.conv_groups,
            "Masked": self.masked,
            **voter,
        }
        packed = words(fold(weights, self.pe, self.simd), 1, "weights", bipolar=True)
        folded = Table("weights", *native_rows(packed, self.pe * self.simd), WORDS_LAYOUT, self.memory)
        return Call("xnor_popcount", parameters, (folded, *tables))

    def path_ns(self):
        deep = self.memory == "block" and self.neuron_fold * self.synapse_fold > DEEP
        return max(super().path_ns(), 9.7 if deep else 0.0)  # words of many block RAMs are multiplexed

    def cost(self):
        """Return its estimated resources: lines through Yosys 0.70's figures of the demo's engines."""
        width = self.simd + self.masked
        replay = ram_cost(self.synapse_fold, width, "distributed") if self.neuron_fold > 1 else Cost()
        weights = memory_cost(self.neuron_fold * self.synapse_fold, self.pe * self.simd, self.memory)
        return Cost(lut=18 + width, ff=24 + 1.5 * width) + self.lanes_cost() + replay + weights

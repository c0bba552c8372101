from .base import Cost, HardwareOp, Stream, memory_cost
from .votes import ATTRIBUTES, activate, output_bits, output_bounds, table_bits


class XnorPopcount(HardwareOp):
    """Binary dot products of windows with their activation (see votes.activate).

    Inputs: window [N, OH, OW, n] bipolar (``channels`` = n; 0 marks taps outside the map where ``masked``), weights [O, n]
    bipolar, and the activation's constants.
    """

    attributes = {
        "features": ("i", True, 0),
        **ATTRIBUTES,
        "masked": ("i", False, 0),
        "pe": ("i", False, 1),
        "simd": ("i", False, 1),
        "memory": ("s", False, "block"),
    }

    def evaluate(self, window, weights, *constants):
        return activate(self, window, weights, *constants)

    def bounds(self, inputs, constants):
        return [output_bounds(self, self.channels, constants[1:])]

    @property
    def synapse_fold(self):
        """SF: beats a window."""
        return self.channels // self.simd

    @property
    def neuron_fold(self):
        """NF: passes over a window."""
        return self.features // self.pe

    @property
    def weight_bits(self):
        return self.channels * self.features

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.simd, 1, masked=bool(self.masked))]

    def outputs(self):
        return [Stream(self.height, self.width, self.features, self.pe, output_bits(self))]

    def cycles(self):
        return self.pixels * self.neuron_fold * self.synapse_fold

    def engine_cost(self):
        """XNOR, popcount, accumulator and vote: a line through Yosys 0.70 estimates of rtl/xnor_popcount.sv with an exact vote.

        Other voters were not synthesised one by one: groups of three take a third of the popcount (DESIGN 3), so this is too much.
        """
        dsp = self.pe if self.activation == "popcount_scale" else 0
        return Cost(lut=2.7 * self.pe * self.simd + 40, ff=0.45 * self.pe * self.simd + 60, dsp=dsp)

    def cost(self):
        replay = memory_cost(self.synapse_fold, self.simd, "distributed") if self.neuron_fold > 1 else Cost()
        weights = memory_cost(self.neuron_fold * self.synapse_fold, self.pe * self.simd, self.memory)
        constants = memory_cost(self.neuron_fold, self.pe * table_bits(self, self.channels), "distributed")
        return self.engine_cost() + replay + weights + constants

    def operations(self):
        counts = {"binary_mac": self.pixels * self.weight_bits}
        if self.activation == "popcount_scale":
            counts["popcount_mul"] = self.pixels * self.features
        return counts

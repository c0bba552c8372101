import numpy as np

from .base import Cost, HardwareOp, Stream, memory_cost, saturate
from .dot import dot

ACTIVATIONS = ("majority_vote", "popcount_scale")


class XnorPopcount(HardwareOp):
    """Binary dot products of windows with their activation.

    Inputs: window [N, OH, OW, n] bipolar (``channels`` = n), weights [O, n] bipolar, and for
    ``popcount_scale`` also multiplier [O] and offset [O].
    With p the popcount of XNOR(window, weights) and s = 2p - n:

    - ``majority_vote``: +1 if p >= threshold else -1. For an exact majority the threshold is
      ceil(n / 2), as a tie (s = 0) votes +1.
    - ``popcount_scale``: saturate((multiplier * s + offset) >> shift) on ``out_bits`` bits: the
      integer multiply that PopBin removes.
    """

    attributes = {
        "features": ("i", True, 0),
        "activation": ("s", True, "majority_vote"),
        "threshold": ("i", False, 0),
        "shift": ("i", False, 0),
        "out_bits": ("i", False, 1),
        "pe": ("i", False, 1),
        "simd": ("i", False, 1),
        "memory": ("s", False, "block"),
    }

    def matches(self, window, weights):
        """p [N, OH, OW, O]. float32 products of +-1 are exact here: n < 2^24."""
        return (dot(window, weights) + self.channels) >> 1

    def evaluate(self, window, weights, multiplier=None, offset=None):
        matches = self.matches(window, weights)
        if self.activation == "majority_vote":
            return np.where(matches >= self.threshold, 1, -1).astype(np.int8)
        sums = 2 * matches - self.channels
        return saturate((sums * multiplier + offset) >> self.shift, self.out_bits)

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
        return [Stream(self.height, self.width, self.channels, self.simd, 1)]

    def outputs(self):
        return [Stream(self.height, self.width, self.features, self.pe, self.out_bits)]

    def cycles(self):
        return self.pixels * self.neuron_fold * self.synapse_fold

    def engine_cost(self):
        """XNOR, popcount, accumulator and vote: a line through Yosys 0.70 estimates of rtl/xnor_popcount.sv."""
        dsp = 0 if self.activation == "majority_vote" else self.pe
        return Cost(lut=2.7 * self.pe * self.simd + 40, ff=0.45 * self.pe * self.simd + 60, dsp=dsp)

    def cost(self):
        replay = memory_cost(self.synapse_fold, self.simd, "distributed") if self.neuron_fold > 1 else Cost()
        weights = memory_cost(self.neuron_fold * self.synapse_fold, self.pe * self.simd, self.memory)
        return self.engine_cost() + replay + weights

    def operations(self):
        counts = {"binary_mac": self.pixels * self.weight_bits}
        if self.activation == "popcount_scale":
            counts["popcount_mul"] = self.pixels * self.features
        return counts

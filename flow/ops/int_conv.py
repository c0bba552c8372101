import numpy as np

from .base import Cost, HardwareOp, Interval, Stream, memory_cost, saturate
from .dot import dot, dot_bounds


class IntConv(HardwareOp):
    """y = saturate((multiplier[c] * sum(w * x) + bias[c]) >> shift): 8-bit convolution of windows, or the classifier.

    Inputs: window [N, OH, OW, n] signed (``channels`` = n), weights [O, n], bias [O] on the product's grid, and, where the
    scales are no powers of two, multiplier [O] (1 without it). ``acc_bits`` hold every product plus bias. The shift is
    arithmetic, so it floors.
    """

    attributes = {
        "features": ("i", True, 0),
        "weight_bits": ("i", True, 8),
        "acc_bits": ("i", True, 32),
        "out_bits": ("i", True, 8),
        "shift": ("i", True, 0),
        "pe": ("i", False, 1),
        "simd": ("i", False, 1),
        "memory": ("s", False, "block"),
    }

    def evaluate(self, window, weights, bias, multiplier=1):
        sums = dot(window, weights, np.float64)  # exact: far below 2^53
        return saturate((multiplier * sums + bias) >> self.shift, self.out_bits)

    def accumulator(self, inputs: Interval, weights, bias, multiplier=1) -> Interval:
        """Bounds [O] of ``multiplier * sum + bias``, and of the sum and the product on the way to it."""
        sums = dot_bounds(inputs, weights)
        low, high = np.minimum(*(multiplier * side for side in sums)), np.maximum(*(multiplier * side for side in sums))
        return np.minimum.reduce([sums[0], low, low + bias]), np.maximum.reduce([sums[1], high, high + bias])

    def bounds(self, inputs, constants):
        weights, bias, *multiplier = constants
        sides = [side * (multiplier[0] if multiplier else 1) + bias for side in dot_bounds(inputs[0], weights)]
        return [tuple(saturate(side(*sides) >> self.shift, self.out_bits) for side in (np.minimum, np.maximum))]

    @property
    def scaled(self) -> bool:
        """Has multipliers."""
        return len(self.onnx_node.input) > 3

    @property
    def synapse_fold(self):
        return self.channels // self.simd

    @property
    def neuron_fold(self):
        return self.features // self.pe

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.simd, self.bits)]

    def outputs(self):
        return [Stream(self.height, self.width, self.features, self.pe, self.out_bits)]

    def cycles(self):
        return self.pixels * self.neuron_fold * self.synapse_fold

    def cost(self):
        multipliers = self.pe * self.simd
        replay = (
            memory_cost(self.synapse_fold, self.simd * self.bits, "distributed") if self.neuron_fold > 1 else Cost()
        )
        weights = memory_cost(self.neuron_fold * self.synapse_fold, multipliers * self.weight_bits, self.memory)
        bias = memory_cost(self.neuron_fold, self.pe * self.acc_bits, "distributed")
        # a line through Yosys 0.70 estimates of rtl/int_conv.sv; a multiplier of 18 bits is one DSP on sums of up to 25
        engine = Cost(lut=8 * multipliers + 300, ff=7 * multipliers + 110, dsp=multipliers + self.pe * self.scaled)
        gains = memory_cost(self.neuron_fold, self.pe * 18, "distributed") if self.scaled else Cost()
        return engine + replay + weights + bias + gains

    def operations(self):
        return {"int8_mac": self.pixels * self.channels * self.features}

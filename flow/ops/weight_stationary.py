import math

from .base import Cost, HardwareOp, Stream, memory_cost
from .votes import ATTRIBUTES, activate, output_bits, output_bounds, table_bits
from .window import Window

DDR_WORD = 64
DISTRIBUTED_MAP_BITS = 1 << 16


class WeightStationary(Window, HardwareOp):
    """SlidingWindow + XnorPopcount whose weights come from DDR once a frame.

    Inputs: map [N, H, W, C] bipolar, weights [O, K*K*C] bipolar and the activation's constants; output [N, OH, OW, O].
    Each weight word serves all output pixels, so DDR is read once a frame and not once a pixel.
    """

    attributes = {
        "kernel": ("i", True, 3),
        "stride": ("i", True, 1),
        "padding": ("i", True, 1),
        "pad_value": ("i", False, -1),
        "features": ("i", True, 0),
        **ATTRIBUTES,
        "pe": ("i", False, 1),
        "simd": ("i", False, 1),
    }

    @property
    def window(self):
        """n, inputs of one dot product."""
        return self.kernel**2 * self.channels

    @property
    def weight_bits(self):
        return self.window * self.features

    @property
    def ddr_words(self):
        """64-bit words read a frame."""
        return math.ceil(self.weight_bits / DDR_WORD)

    @property
    def map_memory(self):
        """What the two maps are kept in, one of which fills while the other is used."""
        bits = 2 * self.pixels * self.channels
        return "distributed" if bits <= DISTRIBUTED_MAP_BITS else "block"

    @property
    def neuron_fold(self):
        return self.features // self.pe

    @property
    def synapse_fold(self):
        return self.window // self.simd

    def evaluate(self, x, weights, *constants):
        return activate(self, self.windows(x), weights, *constants)

    def bounds(self, inputs, constants):
        return [output_bounds(self, self.window, constants[1:])]

    def inputs(self):
        return [Stream(self.height, self.width, self.channels, self.simd, 1)]

    def outputs(self):
        return [Stream(self.out_height, self.out_width, self.features, self.pe, output_bits(self))]

    def cycles(self):
        return max(self.neuron_fold * self.synapse_fold * self.out_pixels, self.inputs()[0].beats)

    def cost(self):
        count_bits = int(self.window).bit_length()
        # lines through Yosys estimates of rtl/weight_stationary.sv and one port of rtl/weight_stream.sv
        engine = Cost(lut=2.7 * self.pe * self.simd + 60 + 180, ff=0.45 * self.pe * self.simd + 440 + 150)
        maps = memory_cost(2 * self.pixels * self.channels // self.simd, self.simd, self.map_memory)
        sums = memory_cost(self.out_pixels, self.pe * count_bits, "distributed")
        votes = memory_cost(2 * self.out_pixels * self.neuron_fold, self.pe * output_bits(self), "distributed")
        fifo = memory_cost(64, DDR_WORD, "distributed")
        multiply = Cost(dsp=self.pe if self.activation == "popcount_scale" else 0)
        constants = memory_cost(self.neuron_fold, self.pe * table_bits(self, self.window), "distributed")
        return engine + maps + sums + votes + fifo + multiply + constants

    def operations(self):
        counts = {"binary_mac": self.out_pixels * self.weight_bits}
        if self.activation == "popcount_scale":
            counts["popcount_mul"] = self.out_pixels * self.features
        return counts

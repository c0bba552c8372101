"""Small hardware graphs with random weights, for the tests of the emitters and of the backends.

`GraphBuilder` keeps the shape and the beat of every stream, so a graph is a list of calls and cannot be ill-formed:
each method adds one node (and the WidthConverter its input needs) and returns the name of its output tensor.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from flow.custom_op import DOMAIN, op_of
from flow.nodes import Stream


class GraphBuilder:
    """Nodes are named `<prefix>.<kind>`; a prefix is the name of a block, such as "block1"."""

    def __init__(self, height: int, width: int, p: int = 8, seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.initializers = [], []
        self.streams = {"image": Stream(height, width, 3, p, 8, signed=False)}
        self.image = [1, height, width, 3]

    def node(self, kind: str, name: str, inputs, constants=None, outputs=("out",), **attributes):
        """Adds a node; height, width, channels and, where not given, bits and p are those of its first input."""
        stream = self.streams[inputs[0]]
        attributes = {
            "height": stream.height,
            "width": stream.width,
            "channels": stream.channels,
            "bits": stream.bits,
            "p": stream.parallel,
            **attributes,
        }
        names = [f"{name}.{suffix}" for suffix in constants or {}]
        for initializer, value in zip(names, (constants or {}).values()):
            value = np.asarray(value, np.float32)
            self.initializers.append(numpy_helper.from_array(value, initializer))
        results = [f"{name}.{output}" for output in outputs]
        proto = helper.make_node(kind, [*inputs, *names], results, name=name, domain=DOMAIN, **attributes)
        op = op_of(proto)
        for tensor, given in zip(inputs, op.inputs()):
            if given != self.streams[tensor]:
                raise ValueError(f"{name}: takes {given}, but {tensor} is {self.streams[tensor]}")
        self.nodes.append(proto)
        self.streams.update(zip(results, op.outputs()))
        return results[0] if len(results) == 1 else tuple(results)

    def beats_of(self, x: str, p: int, name: str) -> str:
        """x with p elements a beat, through up to two WidthConverters."""
        current = self.streams[x].parallel
        if current == p:
            return x
        if max(current, p) % min(current, p):
            return self.beats_of(self.beats_of(x, int(np.gcd(current, p)), f"{name}_narrow"), p, name)
        return self.node("WidthConverter", name, [x], out_p=p)

    # pieces of a network

    def pixels(self, p: int) -> str:
        """PixelOffset on the image, then p elements a beat."""
        return self.beats_of(self.node("PixelOffset", "pixels", ["image"]), p, "pixels_width")

    def pixel_table(self, p: int, bits: int) -> str:
        """PixelTable on the image, then p elements a beat."""
        table = self.rng.integers(-(1 << bits - 1), 1 << bits - 1, 256)
        return self.beats_of(
            self.node("PixelTable", "pixels", ["image"], {"table": table}, bits=bits), p, "pixels_width"
        )

    def window(self, x: str, prefix: str, kernel=3, stride=1, padding=1, dilation=1) -> str:
        """Windows; numbers, or as SlidingWindow has them."""
        shape = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        pad = -1 if self.streams[x].bipolar else 0
        return self.node("SlidingWindow", f"{prefix}.window", [x], **shape, pad_value=pad)

    def conv(self, x: str, prefix: str, features: int, pe: int, simd: int, out_bits=9, shift=6, **window) -> str:
        """8-bit convolution: SlidingWindow and IntConv."""
        x = self.window(self.beats_of(x, simd, f"{prefix}.in_width"), prefix, **window)
        return self.int_conv(x, f"{prefix}.conv", features, pe, out_bits, shift)

    def int_conv(self, x: str, name: str, features: int, pe: int, out_bits: int, shift: int, memory="block") -> str:
        n, simd = self.streams[x].channels, self.streams[x].parallel
        constants = {
            "weights": self.rng.integers(-128, 128, (features, n)),
            "bias": self.rng.integers(-1000, 1000, features),
        }
        return self.node(
            "IntConv",
            name,
            [x],
            constants,
            features=features,
            weight_bits=8,
            acc_bits=28,
            out_bits=out_bits,
            shift=shift,
            pe=pe,
            simd=simd,
            memory=memory,
        )

    def sign(self, x: str, prefix: str) -> str:
        thresholds = self.rng.integers(-20, 20, self.streams[x].channels)
        return self.node("SignThreshold", f"{prefix}.sign", [x], {"threshold": thresholds})

    def vote(self, x: str, prefix: str, features: int, pe: int, simd: int, stride=1, memory="block") -> str:
        """Binary 3x3 convolution with its majority vote: SlidingWindow and XnorPopcount."""
        x = self.window(self.beats_of(x, simd, f"{prefix}.in_width"), prefix, stride=stride)
        return self.xnor(x, f"{prefix}.xnor", features, pe, memory)

    def binary(
        self, x: str, prefix: str, features: int, pe: int, simd: int, stride=1, pad_value=-1, order="tap", **engine
    ) -> str:
        """Binary 3x3 convolution, any padding, order of the window and activation: SlidingWindow and XnorPopcount."""
        x = self.beats_of(x, simd // {"tap": 1, "row": 3, "channel": 9}[order], f"{prefix}.in_width")
        x = self.node(
            "SlidingWindow",
            f"{prefix}.window",
            [x],
            kernel=3,
            stride=stride,
            padding=1,
            pad_value=pad_value,
            order=order,
            p=simd,
        )
        return self.xnor(x, f"{prefix}.xnor", features, pe, **engine)

    def xnor(
        self, x: str, name: str, features: int, pe: int, memory="block", activation="majority_vote", **attributes
    ) -> str:
        stream = self.streams[x]
        constants = self.binary_constants(activation, features, stream.channels)
        return self.node(
            "XnorPopcount",
            name,
            [x],
            constants,
            features=features,
            activation=activation,
            masked=int(stream.masked),
            pe=pe,
            simd=stream.parallel,
            memory=memory,
            **attributes,
        )

    def stationary_vote(
        self, x: str, prefix: str, features: int, pe: int, simd: int, stride=1, activation="majority_vote", **attributes
    ) -> str:
        """The same as `vote` or `binary` in one WeightStationary, weights from DDR."""
        x = self.beats_of(x, simd, f"{prefix}.in_width")
        constants = self.binary_constants(activation, features, 9 * self.streams[x].channels)
        return self.node(
            "WeightStationary",
            f"{prefix}.stationary",
            [x],
            constants,
            features=features,
            activation=activation,
            kernel=3,
            stride=stride,
            padding=1,
            pe=pe,
            simd=simd,
            **attributes,
        )

    def binary_constants(self, activation: str, features: int, n: int) -> dict[str, np.ndarray]:
        """Weights of n signs, and what the activation takes."""
        constants = {"weights": self.signs(features, n)}
        if activation == "threshold":
            constants["threshold"] = self.rng.integers(-n // 16, n // 16, features)
            constants["threshold"][:2] = n + 1, -n  # never and always
        if activation == "popcount_scale":
            constants["multiplier"] = self.rng.integers(-60, 60, features)
            constants["offset"] = self.rng.integers(-200, 200, features)
        return constants

    def select(self, x: str, prefix: str, bits: int) -> str:
        low, high = np.sort(self.rng.integers(-60, 60, (2, self.streams[x].channels)), axis=0)
        return self.node("VoteSelect", f"{prefix}.select", [x], {"low": low, "high": high}, bits=bits)

    def rprelu(self, x: str, prefix: str) -> str:
        """Every slope occurs; before and after reach half of the range, so that some elements saturate."""
        channels, bits = self.streams[x].channels, self.streams[x].bits
        before, after = self.rng.integers(-(1 << bits - 2), 1 << bits - 2, (2, channels))
        constants = {"before": before, "slope": np.arange(channels) % bits, "after": after}
        return self.node("RPReLU", f"{prefix}.rprelu", [x], constants)

    def prelu(self, x: str, prefix: str, out_bits: int, shift=10) -> str:
        """Lines that bend anywhere; the first channel never reaches its step, the last is never below it."""
        channels, half = self.streams[x].channels, 1 << self.streams[x].bits - 1
        down, up = self.rng.integers(-(1 << shift), 1 << shift, (2, channels))
        down_offset, up_offset = self.rng.integers(-half << shift - 1, half << shift - 1, (2, channels))
        constants = {
            "step": np.linspace(half, -half, channels).round(),
            "down": down,
            "down_offset": down_offset,
            "up": up,
            "up_offset": up_offset,
        }
        return self.node("PReLU", f"{prefix}.prelu", [x], constants, shift=shift, out_bits=out_bits)

    def max_pool(self, x: str, prefix: str) -> str:
        return self.node("MaxPool", f"{prefix}.max_pool", [x])

    def sample(self, x: str, prefix: str, ratio: int) -> str:
        return self.node("Sample", f"{prefix}.sample", [x], ratio=ratio)

    def fork(self, x: str, prefix: str) -> tuple[str, str]:
        return self.node("Duplicate", f"{prefix}.fork", [x], outputs=("out0", "out1"))

    def fifo(self, x: str, prefix: str, depth: int, memory="distributed") -> str:
        return self.node("Fifo", f"{prefix}.fifo", [x], depth=depth, memory=memory)

    def add(self, a: str, b: str, prefix: str) -> str:
        b = self.beats_of(b, self.streams[a].parallel, f"{prefix}.add_width")
        return self.node("AddStreams", f"{prefix}.add", [a, b])

    def signs(self, *shape: int) -> np.ndarray:
        return self.rng.choice([-1, 1], shape)

    def model(self, output: str) -> ModelWrapper:
        """The graph, ended by the tensor ``output``."""
        inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, self.image)]
        last = self.streams[output]
        shape = [1, last.height, last.width, last.channels]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)]
        graph = helper.make_graph(self.nodes, "hardware", inputs, outputs, self.initializers)
        imports = [helper.make_opsetid(DOMAIN, 1), helper.make_opsetid("", 13)]
        return ModelWrapper(helper.make_model(graph, opset_imports=imports))


def small_network(seed: int = 0, size: int = 8, stem: int = 8) -> ModelWrapper:
    """Every hardware node once at least, on size x size images.

    An 8-bit stem of ``stem`` channels; a binary block of stride 1 with an identity shortcut; a block of stride 2 whose
    weights come from DDR and whose shortcut is AvgPool and a 1x1 IntConv; GlobalPool; a classifier of 10.
    """
    g = GraphBuilder(size, size, seed=seed)
    wide, bits = 2 * stem, 9
    x = g.conv(g.pixels(p=3), "stem", stem, pe=2, simd=3)

    main, shortcut = g.fork(x, "block1")
    main = g.vote(g.sign(main, "block1"), "block1", stem, pe=2, simd=stem, memory="distributed")
    main = g.select(main, "block1", bits)
    x = g.add(main, g.fifo(shortcut, "block1", depth=size * stem), "block1")

    main, shortcut = g.fork(x, "block2")
    main = g.stationary_vote(g.sign(main, "block2"), "block2", wide, pe=4, simd=stem, stride=2)
    main = g.select(main, "block2", bits)
    shortcut = g.node(
        "AvgPool", "block2.pool", [g.fifo(shortcut, "block2", depth=size * size * stem // 2, memory="block")]
    )
    shortcut = g.conv(shortcut, "block2.shortcut", wide, pe=1, simd=2, shift=7, kernel=1, padding=0)
    x = g.add(main, shortcut, "block2")

    main, shortcut = g.fork(x, "block3")
    main = g.select(g.stationary_vote(g.sign(main, "block3"), "block3", wide, pe=8, simd=wide), "block3", bits)
    x = g.add(g.beats_of(main, 4, "block3.out_width"), g.fifo(shortcut, "block3", depth=300), "block3")

    x = g.node("GlobalPool", "pool", [x])
    return g.model(g.int_conv(x, "classifier", 10, pe=2, out_bits=32, shift=0, memory="distributed"))


def pooled_network(seed: int = 0) -> ModelWrapper:
    """RPReLU, MaxPool of integers and of signs, and Sample, on 8 x 8 images; nothing from DDR."""
    g = GraphBuilder(8, 8, seed=seed)
    x = g.conv(g.pixels(p=3), "stem", 12, pe=4, simd=3)
    x = g.max_pool(g.rprelu(x, "stem"), "stem")
    x = g.sample(g.max_pool(g.sign(x, "binary"), "binary"), "binary", ratio=2)
    x = g.select(g.vote(x, "binary", 8, pe=4, simd=2), "binary", bits=9)
    x = g.node("GlobalPool", "pool", [g.rprelu(x, "binary")])
    return g.model(g.int_conv(x, "classifier", 10, pe=2, out_bits=32, shift=0, memory="distributed"))


def bent_network(seed: int = 0) -> ModelWrapper:
    """PixelTable, windows that are not square, and PReLU, on 4 x 4 images; nothing from DDR."""
    g = GraphBuilder(4, 4, seed=seed)
    window = {"kernel": (2, 3), "padding": (1, 3, 0, 1), "dilation": (1, 2)}
    x = g.prelu(g.conv(g.pixel_table(p=3, bits=6), "stem", 6, pe=3, simd=3, **window), "stem", out_bits=8)
    x = g.node("GlobalPool", "pool", [x])
    return g.model(g.int_conv(x, "classifier", 10, pe=2, out_bits=32, shift=0, memory="distributed"))


def votes_network(seed: int = 0) -> ModelWrapper:
    """Binary layers on 8 x 8 images, on chip and from DDR.

    With masked and other padding, grouped votes in every order of the window, and every activation.
    """
    g = GraphBuilder(8, 8, seed=seed)
    x = g.sign(g.conv(g.pixels(p=3), "stem", 8, pe=4, simd=3), "stem")
    x = g.binary(x, "masked", 8, pe=4, simd=4, pad_value=0)
    x = g.binary(x, "rows", 8, pe=2, simd=12, pad_value=1, order="row", group=3)
    x = g.binary(x, "channels", 8, pe=8, simd=18, order="channel", group=9, group_threshold=1)
    x = g.binary(x, "short", 16, pe=4, simd=8, group=16, group_threshold=2, threshold=1)
    x = g.binary(x, "thresholds", 16, pe=8, simd=16, stride=2, pad_value=0, activation="threshold")
    x = g.stationary_vote(x, "streamed", 16, pe=8, simd=8, pad_value=0, activation="threshold")
    x = g.stationary_vote(x, "streamed_groups", 16, pe=4, simd=16, pad_value=1, group=48)
    scale = {"activation": "popcount_scale", "out_bits": 9, "shift": 4}
    x = g.sign(g.binary(x, "scale", 16, pe=2, simd=4, pad_value=0, **scale), "scale")
    x = g.sign(g.stationary_vote(x, "streamed_scale", 16, pe=4, simd=16, **scale), "streamed_scale")
    x = g.binary(x, "sums", 8, pe=4, simd=16, activation="sum", out_bits=9)
    x = g.node("GlobalPool", "pool", [x])
    return g.model(g.int_conv(x, "classifier", 10, pe=2, out_bits=32, shift=0, memory="distributed"))


def random_images(count: int, size: int = 8, seed: int = 1) -> np.ndarray:
    """uint8 [count, size, size, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)

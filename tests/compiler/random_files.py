"""Random QONNX files, written node by node as other people's exporters write them, and the values they must give.

`files` draws a network: an image, a map that is not square, a signal, a vector or bits as input; convolutions of any
kernel, stride, padding, dilation and group, residuals, concatenations, pools, dense layers; weights of 1 to 8 bits and
activations of 1 to 8 bits with scales a tensor or a channel that are powers of two or anything; real activations
between; and an end that is logits, a bias, a scale, a norm, Softmax or ArgMax.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

QONNX = "qonnx.custom_op.general"
IMAGES = 24  # that a network's scales are settled on, and that it is compared on
PIXELS = ((0.0, 255.0), (0.0, 1.0), (-1.0, 1.0), (-2.1, 2.6))


@dataclass(frozen=True)
class Layer:
    """A convolution, or a dense layer where the map is gone, with what stands around it."""

    features: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)  # top, left, bottom, right
    dilation: tuple[int, int] = (1, 1)
    group: str = "one"  # one, some or depthwise
    weights: str = "1"  # bits; 1 is bipolar
    channel_scales: bool = False
    bias: bool = False
    norm: bool = True
    activation: str = "sign"
    bits: int = 2  # of a quantizer behind it
    pool: str = "none"
    join: str = "none"  # of its input to its output: none, add or concat


@dataclass(frozen=True)
class File:
    """A network to write."""

    shape: tuple[int, ...]  # of the input, without the batch
    entry: str  # quantizer of the input: none, sign, or bits of an integer
    pixels: tuple[float, float]
    powers: bool  # whether scales are powers of two
    layers: tuple[Layer, ...]
    head: tuple[Layer, ...]
    reduce: str  # of the map before the head: flatten, pool or mean
    end: str
    opset: int
    seed: int
    fps: float

    def __str__(self):
        def one(layer: Layer) -> str:
            parts = [
                "x".join(map(str, layer.kernel)),
                "" if layer.stride == (1, 1) else f"/{layer.stride[0]},{layer.stride[1]}",
                "" if layer.dilation == (1, 1) else f"d{layer.dilation[0]},{layer.dilation[1]}",
                f"p{''.join(map(str, layer.pads))}",
                "" if layer.group == "one" else layer.group,
                f" w{layer.weights}{'c' if layer.channel_scales else ''}",
                "b" if layer.bias else "",
                "n" if layer.norm else "",
                f" {layer.activation}{layer.bits}",
                "" if layer.pool == "none" else f" {layer.pool}",
                "" if layer.join == "none" else f" {layer.join}",
            ]
            return "".join(parts)

        return (
            f"{'x'.join(map(str, self.shape))} {self.entry} {self.pixels} {'2^n' if self.powers else 'any'} "
            f"[{'; '.join(map(one, self.layers))}] {self.reduce} [{'; '.join(map(one, self.head))}] {self.end} "
            f"opset {self.opset} seed {self.seed}"
        )


ACTIVATIONS = (
    "sign",
    "sign",
    "relu",
    "quant",
    "prelu-quant",
    "leaky-quant",
    "hardswish-quant",
    "hardtanh-quant",
    "none",
)
POOLS = ("none", "none", "max", "average", "max-late", "max-3")


@st.composite
def _layers(draw, pixels: list[int], few: bool) -> Layer:
    kernel = [draw(st.sampled_from((1, 2, 3, 3, 5))) for _ in range(2)] if draw(st.booleans()) else [3, 3]
    kernel = [1 if side == 1 else k for k, side in zip(kernel, pixels)]
    dilation = [draw(st.sampled_from((1, 1, 1, 2))) if k > 1 else 1 for k in kernel]
    reach = [(k - 1) * d for k, d in zip(kernel, dilation)]
    same = draw(st.booleans())
    pads = [r // 2 for r in reach] + [r - r // 2 for r in reach] if same else [0, 0, 0, 0]
    for axis in range(2):
        if pixels[axis] + pads[axis] + pads[2 + axis] <= reach[axis]:
            pads[axis], pads[2 + axis] = reach[axis] // 2, reach[axis] - reach[axis] // 2
    left = [side + pads[a] + pads[2 + a] - reach[a] for a, side in enumerate(pixels)]
    stride = [draw(st.sampled_from((1, 1, 2))) if side > 3 else 1 for side in left]
    outs = [(side - 1) // s + 1 for side, s in zip(left, stride)]
    pool = draw(st.sampled_from(POOLS)) if min(outs) >= 4 else "none"
    join = "none"
    if outs == pixels and pool == "none":
        join = draw(st.sampled_from(("none", "add", "add", "concat")))
    return Layer(
        features=draw(st.sampled_from((12, 16, 24))),
        kernel=tuple(kernel),
        stride=tuple(stride),
        pads=tuple(pads),
        dilation=tuple(dilation),
        group="one" if few else draw(st.sampled_from(("one", "one", "one", "some", "depthwise"))),
        weights=draw(st.sampled_from(("1", "1", "1", "2", "4", "8"))),
        channel_scales=draw(st.booleans()),
        bias=draw(st.booleans()),
        norm=draw(st.sampled_from((True, True, False))),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        bits=draw(st.sampled_from((2, 2, 3, 4, 8))),
        pool=pool,
        join=join,
    )


@st.composite
def files(draw) -> File:
    """Draw a network of 1 to 4 convolutions (where its input is a map) and 1 to 3 dense layers."""
    kind = draw(st.sampled_from(("image", "image", "gray", "oblong", "signal", "vector", "planes")))
    shape = {
        "image": (3, 16, 16),
        "gray": (1, 12, 12),
        "oblong": (3, 8, 20),
        "signal": (2, 1, 32),
        "vector": (48,),
        "planes": (5, 9, 7),
    }[kind]
    layers, pixels = [], list(shape[1:])
    if len(shape) == 3:
        for _ in range(draw(st.integers(1, 4))):
            layer = draw(_layers(pixels, few=not layers))
            layers.append(layer)
            pixels = _behind(layer, pixels)
    head = [
        Layer(
            features=draw(st.sampled_from((10, 16, 32))),
            weights=draw(st.sampled_from(("1", "1", "2", "4", "8"))),
            channel_scales=draw(st.booleans()),
            bias=draw(st.booleans()),
            norm=draw(st.booleans()),
            activation=draw(st.sampled_from(("sign", "relu", "quant"))),
            bits=draw(st.sampled_from((2, 3, 4, 8))),
        )
        for _ in range(draw(st.integers(0, 2)))
    ]
    return File(
        shape=shape,
        entry=draw(st.sampled_from(("none", "8", "8", "4", "2", "sign"))),
        pixels=draw(st.sampled_from(PIXELS)),
        powers=draw(st.booleans()),
        layers=tuple(layers),
        head=(*head, Layer(10, weights=draw(st.sampled_from(("1", "2", "4", "8"))), activation="none", norm=False)),
        reduce=draw(st.sampled_from(("flatten", "pool", "mean"))) if layers else "flatten",
        end=draw(st.sampled_from(("logits", "bias", "scale", "norm", "softmax", "argmax"))),
        opset=draw(st.sampled_from((11, 13, 13, 17, 20))),
        seed=draw(st.integers(0, 1000)),
        fps=draw(st.sampled_from((20.0, 500.0, 5000.0))),
    )


def _behind(layer: Layer, pixels: list[int]) -> list[int]:
    """Return the map's sides behind a layer."""
    outs = []
    for axis, side in enumerate(pixels):
        reach = (layer.kernel[axis] - 1) * layer.dilation[axis]
        outs.append((side + layer.pads[axis] + layer.pads[2 + axis] - reach - 1) // layer.stride[axis] + 1)
    return outs if layer.pool == "none" else [side // 2 for side in outs]


@dataclass
class Value:
    """A tensor of the graph: its name, what it is on the images, and whether integers with a scale stand for it."""

    name: str
    data: torch.Tensor
    quantized: bool


@dataclass
class Writer:
    """Writes a graph while it computes what each tensor is on some images, from which scales are taken."""

    file: File
    nodes: list = field(default_factory=list)
    constants: list = field(default_factory=list)
    exact: bool = True  # whether every stream is quantized

    def __post_init__(self):
        self.rng = np.random.default_rng(self.file.seed)

    def constant(self, values) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, inputs, data, quantized: bool = False, domain: str = "", **attributes) -> Value:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [name], name=f"{kind}_{len(self.nodes)}", domain=domain, **attributes)
        )
        return Value(name, data, quantized)

    def scale(self, wanted):
        """Return scales near those wanted: powers of two where the file has these."""
        wanted = np.maximum(np.asarray(wanted, np.float64), 1e-4)
        found = (
            np.exp2(np.round(np.log2(wanted)))
            if self.file.powers
            else wanted * self.rng.uniform(0.8, 1.25, wanted.shape)
        )
        return found.astype(np.float32)

    # ------------------------------------------------------------ quantizers

    def sign(self, x: Value) -> Value:
        scale = self.scale(np.float32(1.0))
        data = torch.where(x.data >= 0, 1.0, -1.0) * float(scale)
        return self.node("BipolarQuant", [x.name, self.constant(scale)], data, True, QONNX)

    def quant(self, x: Value, bits: int, signed: bool) -> Value:
        least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        scale = self.scale(np.float32(2.5 * float(x.data.std()) / max(most, 1) + 1e-3))
        data = torch.clamp(torch.round(x.data / float(scale)), least, most) * float(scale)
        inputs = [x.name, *(self.constant(np.float32(v)) for v in (scale, 0.0, bits))]
        return self.node("Quant", inputs, data, True, QONNX, signed=int(signed), narrow=0, rounding_mode="ROUND")

    def weights(self, shape, layer: Layer) -> tuple[str, torch.Tensor]:
        """Return the name and values of quantized weights [outputs, ...]."""
        real = self.rng.normal(0, 1, shape).astype(np.float32)
        count = shape[0] if layer.channel_scales else 1
        around = np.full((count,) + (1,) * (len(shape) - 1), 1.0 / np.sqrt(np.prod(shape[1:])))
        name = self.constant(real)
        if layer.weights == "1":
            scale = self.scale(around * self.rng.uniform(0.5, 2, around.shape))
            data = np.where(real >= 0, 1, -1) * scale
            value = self.node("BipolarQuant", [name, self.constant(scale)], None, True, QONNX)
        else:
            bits = int(layer.weights)
            most = 2 ** (bits - 1) - 1
            scale = self.scale(around * self.rng.uniform(1, 2, around.shape) * 2 / most)
            real *= float(around.max()) * 1.5
            self.constants[-1] = numpy_helper.from_array(real, name)
            data = np.clip(np.round(real / scale), -most, most) * scale
            inputs = [name, self.constant(scale), self.constant(np.float32(0)), self.constant(np.float32(bits))]
            value = self.node("Quant", inputs, None, True, QONNX, signed=1, narrow=1, rounding_mode="ROUND")
        return value.name, torch.from_numpy(data.astype(np.float32))

    # ------------------------------------------------------------ layers

    def norm(self, x: Value) -> Value:
        axes = [a for a in range(x.data.ndim) if a != 1]
        mean, var = x.data.mean(axes), x.data.var(axes, unbiased=False)
        mean = mean + torch.from_numpy(self.rng.normal(0, 0.3, mean.shape).astype(np.float32)) * var.sqrt()
        gain = self.rng.uniform(0.5, 1.5, mean.shape) * self.rng.choice([1, 1, 1, -1], mean.shape)
        gain, bias = gain.astype(np.float32), self.rng.normal(0, 0.3, mean.shape).astype(np.float32)
        var = torch.clamp(var, min=1e-3)
        parameters = [torch.from_numpy(gain), torch.from_numpy(bias), mean, var]
        data = functional.batch_norm(x.data, mean, var, parameters[0], parameters[1], eps=1e-5)
        names = [self.constant(p.numpy().astype(np.float32)) for p in parameters]
        return self.node("BatchNormalization", [x.name, *names], data, epsilon=1e-5)

    def affine(self, kind: str, x: Value, values: np.ndarray) -> Value:
        values = values.astype(np.float32)
        data = x.data + torch.from_numpy(values) if kind == "Add" else x.data * torch.from_numpy(values)
        return self.node(kind, [x.name, self.constant(values)], data)

    def activation(self, x: Value, kind: str, bits: int) -> Value:
        if kind == "none":
            return x
        if kind == "sign":
            return self.sign(x)
        first = kind.split("-")[0]
        if first == "relu":
            x = self.node("Relu", [x.name], torch.relu(x.data))
            return self.quant(x, bits, signed=False)
        if first == "prelu":
            slopes = self.rng.uniform(-0.3, 0.6, (x.data.shape[1],) + (1,) * (x.data.ndim - 2)).astype(np.float32)
            data = torch.where(x.data >= 0, x.data, x.data * torch.from_numpy(slopes))
            x = self.node("PRelu", [x.name, self.constant(slopes)], data)
        elif first == "leaky":
            x = self.node("LeakyRelu", [x.name], functional.leaky_relu(x.data, 0.1), alpha=0.1)
        elif first == "hardswish" and self.file.opset >= 14:
            x = self.node("HardSwish", [x.name], functional.hardswish(x.data))
        elif first == "hardtanh":
            limits = [self.constant(np.float32(v)) for v in (-1, 1)]
            x = self.node("Clip", [x.name, *limits], torch.clamp(x.data, -1, 1))
        return self.quant(x, bits, signed=True)

    def pool(self, x: Value, kind: str) -> Value:
        if kind == "average":
            data = functional.avg_pool2d(x.data, 2)
            return self.node("AveragePool", [x.name], data, kernel_shape=[2, 2], strides=[2, 2])
        if kind == "max-3":
            padded = functional.pad(x.data, (0, 1, 0, 1), value=float("-inf"))
            data = functional.max_pool2d(padded, 3, 2)
            wanted = [side // 2 for side in x.data.shape[2:]]
            data = data[:, :, : wanted[0], : wanted[1]]
            ends = [2 * (w - 1) + 3 - side for w, side in zip(wanted, x.data.shape[2:])]
            pads = [0, 0, *(max(e, 0) for e in ends)]
            return self.node("MaxPool", [x.name], data, x.quantized, kernel_shape=[3, 3], strides=[2, 2], pads=pads)
        data = functional.max_pool2d(x.data, 2)
        return self.node("MaxPool", [x.name], data, x.quantized, kernel_shape=[2, 2], strides=[2, 2])

    def convolution(self, x: Value, layer: Layer) -> Value:
        channels = x.data.shape[1]
        groups = {"one": 1, "some": 2 if channels % 2 == 0 else 1, "depthwise": channels}[layer.group]
        features = channels if layer.group == "depthwise" else layer.features
        if layer.join == "add":
            features = channels
        self.exact &= x.quantized
        name, weights = self.weights((features, channels // groups, *layer.kernel), layer)
        top, left, bottom, right = layer.pads
        padded = functional.pad(x.data, (left, right, top, bottom))
        data = functional.conv2d(padded, weights, stride=layer.stride, dilation=layer.dilation, groups=groups)
        inputs = [x.name, name]
        if layer.bias:
            bias = self.rng.normal(0, 0.2 * float(data.std()), features).astype(np.float32)
            data = data + torch.from_numpy(bias)[:, None, None]
            inputs.append(self.constant(bias))
        return self.node(
            "Conv",
            inputs,
            data,
            kernel_shape=list(layer.kernel),
            strides=list(layer.stride),
            pads=list(layer.pads),
            dilations=list(layer.dilation),
            group=groups,
        )

    def dense(self, x: Value, layer: Layer) -> Value:
        self.exact &= x.quantized
        name, weights = self.weights((layer.features, x.data.shape[1]), layer)
        data = x.data @ weights.T
        if layer.bias:
            bias = self.rng.normal(0, 0.2 * float(data.std()), layer.features).astype(np.float32)
            data = data + torch.from_numpy(bias)
            return self.node("Gemm", [x.name, name, self.constant(bias)], data, transB=1)
        turned = self.node("Transpose", [name], None, True, perm=[1, 0])
        return self.node("MatMul", [x.name, turned.name], data)

    def layer(self, x: Value, layer: Layer) -> Value:
        entry = x
        x = self.convolution(x, layer) if x.data.ndim == 4 else self.dense(x, layer)
        if layer.pool in ("max", "average", "max-3"):
            x = self.pool(x, layer.pool)
        if layer.norm:
            x = self.norm(x)
        if layer.join == "add" and x.data.shape == entry.data.shape:
            x = self.node("Add", [x.name, entry.name], x.data + entry.data)
        x = self.activation(x, layer.activation, layer.bits)
        if layer.pool == "max-late":
            x = self.pool(x, "max")
        if layer.join == "concat" and x.data.shape[2:] == entry.data.shape[2:]:
            data = torch.cat((x.data, entry.data), 1)
            x = self.node("Concat", [x.name, entry.name], data, x.quantized and entry.quantized, axis=1)
        return x

    def tail(self, x: Value) -> Value:
        end, count = self.file.end, x.data.shape[1]
        spread = float(x.data.std()) or 1.0
        if end == "bias":
            x = self.affine("Add", x, self.rng.normal(0, 0.3 * spread, count))
        elif end == "scale":
            x = self.affine("Mul", x, self.rng.uniform(0.5, 2, count))
        elif end == "norm":
            x = self.norm(x)
        elif end == "softmax":
            x = self.affine("Mul", x, np.array(1.0 / spread))
            x = self.node("Softmax", [x.name], torch.softmax(x.data, 1), axis=1)
        elif end == "argmax":
            x = self.node("ArgMax", [x.name], x.data.argmax(1, keepdim=True), axis=1, keepdims=1)
        return x


def images_of(file: File) -> np.ndarray:
    """Return the images uint8 [N, H, W, C] that a file is settled on."""
    rng = np.random.default_rng(file.seed + 1)
    channels, *sides = file.shape if len(file.shape) == 3 else (file.shape[0], 1, 1)
    height, width = sides
    coarse = torch.from_numpy(rng.integers(0, 256, (IMAGES, channels, -(-height // 2), -(-width // 2)))).float()
    smooth = functional.interpolate(coarse, (height, width), mode="bilinear")
    noise = torch.from_numpy(rng.normal(0, 20, smooth.shape)).float()
    return (smooth + noise).round().clamp(0, 255).permute(0, 2, 3, 1).numpy().astype(np.uint8)


def as_input(file: File, images: np.ndarray) -> np.ndarray:
    """Return images as the file's input, float32 [N, *shape]."""
    low, high = file.pixels
    values = images.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
    return values.transpose(0, 3, 1, 2).reshape(len(images), *file.shape)


def write(file: File, path: Path) -> Writer:
    """Write the file; its last value is in ``written.nodes[-1]``.

    Returns:
        the writer, whose ``exact`` says whether every stream of the network is quantized.
    """
    writer = Writer(file)
    x = Value("image", torch.from_numpy(as_input(file, images_of(file))), False)
    if file.entry == "sign":
        middle = np.float32(sum(file.pixels) / 2 + 1e-3)
        x = writer.sign(writer.affine("Add", x, -middle.reshape(1))) if file.pixels[0] >= 0 else writer.sign(x)
    elif file.entry != "none":
        bits = int(file.entry)
        x = writer.quant(x, bits, signed=file.pixels[0] < 0)
    for layer in file.layers:
        x = writer.layer(x, layer)
    if x.data.ndim == 4:
        if file.reduce == "pool":
            x = writer.node("GlobalAveragePool", [x.name], x.data.mean((2, 3), keepdim=True), x.quantized)
        elif file.reduce == "mean" and file.opset < 18:
            x = writer.node(
                "ReduceMean", [x.name], x.data.mean((2, 3), keepdim=True), x.quantized, axes=[2, 3], keepdims=1
            )
        x = writer.node("Flatten", [x.name], x.data.flatten(1), x.quantized, axis=1)
    for layer in file.head:
        x = writer.layer(x, layer)
    x = writer.tail(x)
    kind = TensorProto.INT64 if file.end == "argmax" else TensorProto.FLOAT
    graph = helper.make_graph(
        writer.nodes,
        "random",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, *file.shape])],
        [helper.make_tensor_value_info(x.name, kind, [1, *x.data.shape[1:]])],
        writer.constants,
    )
    opsets = [helper.make_opsetid("", file.opset), helper.make_opsetid(QONNX, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return writer

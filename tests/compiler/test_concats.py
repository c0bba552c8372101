"""Maps side by side, read by everything that networks read them with, against the file's own answers."""

import numpy as np
import pytest

from .test_other_networks import EXACT, File, answers


class Pair(File):
    """A graph with two maps [1, 4, 6, 6] to put side by side, of one grid each."""

    def __init__(self):
        super().__init__(1, 2, 6, 6)
        self.entry = self.image()

    def ints(self, *numbers: int) -> str:
        return self.constant(numbers, np.int64)

    def unsigned(self) -> str:
        return self.quant(self.node("Relu", self.stem(self.entry)), 0.25, 4, signed=0)

    def signed(self, scale=0.25) -> str:
        return self.quant(self.stem(self.entry), scale, 4)

    def sign(self) -> str:
        return self.bipolar(self.stem(self.entry))

    def together(self, *maps: str) -> str:
        return self.node("Concat", *maps, axis=1)

    def two(self) -> str:
        return self.together(self.unsigned(), self.unsigned())

    def layer(self, x: str, channels=8, outputs=4) -> str:
        return self.norm(self.conv(x, self.weights(outputs, channels, 3, 3), pads=[1] * 4), outputs)

    def binary(self, x: str, channels=8) -> str:
        return self.norm(self.conv(x, self.binary_weights(4, channels, 3, 3, scale=0.2), pads=[1] * 4), 4)

    def pool(self, kind: str, x: str) -> str:
        return self.node(kind, x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)

    def end(self, x: str) -> str:
        return self.classes(self.bipolar(x))


def _dense_block(g):
    maps = [g.unsigned()]
    for _ in range(3):
        x = g.together(*maps) if len(maps) > 1 else maps[0]
        x = g.bipolar(g.norm(x, 4 * len(maps)))
        maps.append(g.quant(g.binary(x, 4 * len(maps)), 0.25, 4))
    return g.end(g.binary(g.bipolar(g.norm(g.together(*maps), 16)), 16))


def _growing(g):
    """A DenseNet as its authors have it: each Concat reads the one before."""
    x, channels = g.unsigned(), 4
    for _ in range(2):
        new = g.quant(g.binary(g.bipolar(g.norm(x, channels)), channels), 0.25, 4)
        x, channels = g.together(x, new), channels + 4
    return g.end(g.layer(g.pool("MaxPool", x), channels))


def _heads(g):
    row = g.node("Flatten", g.sign())
    return g.node("MatMul", row, g.weights(144, 8)), g.node("MatMul", row, g.weights(144, 6))


def _two_dense_layers(g):
    norm = g.batch_norm(g.together(*_heads(g)), np.linspace(0.5, 1.5, 14), np.linspace(-0.3, 0.3, 14))
    return g.node("MatMul", g.bipolar(norm), g.weights(14, 5))


def _shuffle_unit(g):
    """One half goes through a depthwise convolution, the other beside it, and the channels are shuffled."""
    x = g.quant(g.norm(g.conv(g.entry, g.weights(8, 2, 3, 3), pads=[1] * 4), 8), 0.25, 4)
    left, right = (g.node("Slice", x, g.ints(start), g.ints(start + 4), g.ints(1)) for start in (0, 4))
    right = g.conv(right, g.weights(4, 1, 3, 3), pads=[1] * 4, group=4)
    x = g.together(left, g.quant(g.norm(right, 4), 0.25, 4))
    x = g.node("Transpose", g.node("Reshape", x, g.ints(1, 2, 4, 6, 6)), perm=[0, 2, 1, 3, 4])
    return g.end(g.layer(g.node("Reshape", x, g.ints(1, 8, 6, 6))))


def _part_of_both(g):
    part = g.node("Slice", g.two(), g.ints(2), g.ints(6), g.ints(1))
    return g.end(g.layer(part, 4))


def _scales_of_outputs(g):
    scales = np.float32([0.1, 0.05, 0.2, 0.03]).reshape(4, 1, 1, 1)
    weights = g.integer_weights(4, 8, 3, 3, scale=scales, bits=3)
    return g.end(g.norm(g.conv(g.two(), weights, g.rng.normal(size=4), pads=[1] * 4), 4))


def _skip(g):
    x = g.two()
    return g.end(g.layer(g.node("Add", x, g.quant(g.layer(x, 8, 8), 0.25, 5))))


def _both_sums(g):
    return g.end(g.layer(g.node("Add", g.two(), g.two())))


def _two_readers(g):
    x = g.two()
    return g.end(g.node("Add", g.quant(g.layer(x), 0.25, 6), g.quant(g.binary(g.bipolar(g.norm(x, 8))), 0.25, 6)))


def _grouped(groups):
    return lambda g: g.end(g.norm(g.conv(g.two(), g.weights(4, 8 // groups, 3, 3), pads=[1] * 4, group=groups), 4))


def _depthwise(g):
    x = g.conv(g.two(), g.weights(8, 1, 3, 3), pads=[1] * 4, group=8)
    return g.end(g.layer(g.quant(g.norm(x, 8), 0.25, 4)))


SLOPES = np.linspace(-0.1, 0.5, 8).reshape(8, 1, 1)
NETWORKS = {
    "a layer": lambda g: g.end(g.layer(g.two())),
    "a layer without pads": lambda g: g.classes(g.bipolar(g.norm(g.conv(g.two(), g.weights(4, 8, 3, 3)), 4)), 64),
    "a layer of a scale an output": _scales_of_outputs,
    "signed and unsigned": lambda g: g.end(g.layer(g.together(g.signed(), g.unsigned()))),
    "bits and values": lambda g: g.end(g.layer(g.together(g.sign(), g.unsigned()))),
    "the image": lambda g: g.end(g.layer(g.together(g.entry, g.unsigned()), 6)),
    "one map twice": lambda g: (lambda a, b: g.end(g.layer(g.together(a, b, a), 12)))(g.unsigned(), g.signed()),
    "nested": lambda g: g.end(g.layer(g.together(g.two(), g.signed()), 12)),
    "signs": lambda g: g.end(g.binary(g.bipolar(g.norm(g.two(), 8)))),
    "signs of scales that differ": lambda g: g.end(
        g.binary(g.bipolar(g.norm(g.together(g.signed(), g.signed(0.1)), 8)))
    ),
    "signs of sums": lambda g: g.end(g.binary(g.bipolar(g.norm(g.together(g.stem(g.entry), g.stem(g.entry)), 8)))),
    "a quantizer": lambda g: g.end(g.layer(g.quant(g.norm(g.two(), 8), 0.25, 4))),
    "PReLU of channels": lambda g: g.end(g.layer(g.quant(g.node("PRelu", g.norm(g.two(), 8), SLOPES), 0.25, 4))),
    "MaxPool": lambda g: g.end(g.layer(g.pool("MaxPool", g.two()))),
    "MaxPool of bits": lambda g: g.end(g.binary(g.pool("MaxPool", g.together(g.sign(), g.sign())))),
    "AveragePool": lambda g: g.end(g.layer(g.quant(g.pool("AveragePool", g.two()), 0.125, 6))),
    "global mean": lambda g: g.classes(g.node("GlobalAveragePool", g.two()), 8),
    "Flatten": lambda g: g.classes(g.two(), 288),
    "rows": lambda g: g.node(
        "MatMul", g.together(g.node("Flatten", g.sign()), g.node("Flatten", g.sign())), g.weights(288, 5)
    ),
    "two dense layers": _two_dense_layers,
    "Slice": _part_of_both,
    "Pad": lambda g: g.end(g.norm(g.conv(g.pad(g.two(), 0.5), g.weights(4, 8, 3, 3)), 4)),
    "skip": _skip,
    "sums of both": _both_sums,
    "two readers": _two_readers,
    "two groups": _grouped(2),
    "four groups": _grouped(4),
    "depthwise": _depthwise,
    "ShuffleNet's unit": _shuffle_unit,
    "DenseNet's block": _dense_block,
    "DenseNet's block, growing": _growing,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_side_by_side(name, tmp_path):
    g = Pair()
    found, expected, tensors, _ = answers(g.save(tmp_path / "network.onnx", NETWORKS[name](g)))
    assert np.ptp(expected) > 0 and not tensors
    assert np.abs(found - expected).max() <= EXACT * np.ptp(expected)


def test_two_heads(tmp_path):
    """Scores of two layers, side by side, are rounded to fixed point each."""
    g = Pair()
    found, expected, _, _ = answers(g.save(tmp_path / "network.onnx", g.together(*_heads(g))))
    assert found.shape[1] == 14 and np.abs(found - expected).max() <= 0.02 * np.ptp(expected)

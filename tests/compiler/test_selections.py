"""Networks that move elements: shortcuts that sample and pad, shuffled and split channels, blocks as channels, pads
anywhere. Each is held against its own file's answers."""

import numpy as np
import pytest

from flow.errors import FlowError

from .test_other_networks import File, near

END = np.iinfo(np.int64).max


class Maps(File):
    """A graph on an image [1, 3, 8, 8], with lists as constants of int64."""

    def __init__(self):
        super().__init__(1, 3, 8, 8)

    def constant(self, value, dtype=np.float32):
        value = np.asarray(value)
        return super().constant(value, np.int64 if value.dtype == np.int64 and value.ndim else dtype)

    def stem(self, x="", channels=8):
        """A convolution of the image and its BatchNorm, real, [1, channels, 8, 8]."""
        x = self.conv(x or self.image(), self.weights(channels, 3, 3, 3), pads=[1] * 4)
        return self.norm(x, channels)

    def signs_of_stem(self, channels=8):
        return self.bipolar(self.stem(channels=channels))

    def cut(self, x, starts, ends, axes, steps):
        return self.node("Slice", x, *([int(v) for v in side] for side in (starts, ends, axes, steps)))

    def split(self, x, axis=1):
        """Two halves."""
        first = self.node("Split", x, axis=axis)
        self.nodes[-1].output.append(second := f"{first}_second")
        return first, second

    def layer(self, x, outputs, inputs, kernel=3, **attributes):
        x = self.conv(x, self.binary_weights(outputs, inputs, kernel, kernel, scale=0.2), **attributes)
        return self.norm(x, outputs)

    def end(self, x, channels, size):
        """A binary layer on bits [1, channels, size, size], and the classes."""
        x = self.bipolar(self.layer(x, 4, channels))
        return self.classes(x, 4 * (size - 2) ** 2)


def shortcut_of_samples(g, x):
    """The shortcut of the first ResNets for CIFAR-10: every second pixel, and channels of 0 on both sides."""
    y = g.layer(g.bipolar(x), 16, 8, pads=[1] * 4, strides=[2, 2])
    s = g.cut(g.cut(x, [0], [END], [2], [2]), [0], [END], [3], [2])
    s = g.node("Pad", s, [0, 4, 0, 0, 0, 4, 0, 0], 0.0)
    return g.end(g.bipolar(g.node("Add", y, s)), 16, 4)


def shuffled(g, x):
    x = g.node("Reshape", x, [1, 2, 4, 8, 8])
    return g.node("Reshape", g.node("Transpose", x, perm=[0, 2, 1, 3, 4]), [1, 8, 8, 8])


def shuffle_units(g):
    """Half of the channels runs past the layer, and both halves are shuffled."""
    a, b = g.split(g.signs_of_stem())
    x = g.node("Concat", a, g.bipolar(g.layer(b, 4, 4, pads=[1] * 4)), axis=1)
    return g.end(shuffled(g, x), 8, 8)


def cropped_residual(g):
    """Layers without padding, and a shortcut that is cut to their size."""
    x = g.quant(g.stem(), 0.25, 4)
    y = g.quant(g.layer(g.bipolar(x), 8, 8), 0.25, 4)
    return g.end(g.bipolar(g.node("Add", y, g.cut(x, [1, 1], [-1, -1], [2, 3], [1, 1]))), 8, 6)


def padded_residual(g):
    x = g.quant(g.stem(), 0.25, 4)
    y = g.pad(g.quant(g.layer(g.bipolar(x), 8, 8), 0.25, 4))
    return g.end(g.bipolar(g.node("Add", x, y)), 8, 8)


def unevenly_padded_residual(g):
    x = g.quant(g.stem(), 0.25, 4)
    y = g.quant(g.layer(g.bipolar(x), 8, 8, kernel=4), 0.25, 4)
    return g.end(g.bipolar(g.node("Add", x, g.pad(y, pads=(0, 0, 1, 2, 0, 0, 2, 1)))), 8, 8)


def blocks(g):
    """Four strided slices side by side, as YOLO's Focus."""
    x = g.image()
    parts = [g.cut(x, [i, j], [END, END], [2, 3], [2, 2]) for i in (0, 1) for j in (0, 1)]
    x = g.conv(g.node("Concat", *parts, axis=1), g.weights(8, 12, 3, 3), pads=[1] * 4)
    return g.end(g.bipolar(g.norm(x, 8)), 8, 4)


def space_to_depth(g):
    x = g.conv(g.node("SpaceToDepth", g.image(), blocksize=2), g.weights(8, 12, 3, 3), pads=[1] * 4)
    return g.end(g.bipolar(g.norm(x, 8)), 8, 4)


def two_readers_of_a_pad(g):
    x = g.pad(g.signs_of_stem(), -1.0)
    parts = [g.quant(g.layer(x, 8, 8), 0.25, 4) for _ in range(2)]
    return g.end(g.bipolar(g.node("Add", *parts)), 8, 8)


EXACT = {
    "shortcut of samples, quantized": lambda g: shortcut_of_samples(g, g.quant(g.stem(), 0.25, 4)),
    "shuffled channels": lambda g: g.end(shuffled(g, g.signs_of_stem()), 8, 8),
    "shuffle units": shuffle_units,
    "gathered channels": lambda g: g.end(g.node("Gather", g.signs_of_stem(), [3, 1, 2, 0, 7, 5, 6, 4], axis=1), 8, 8),
    "some channels": lambda g: g.end(g.cut(g.signs_of_stem(), [2], [7], [1], [1]), 5, 8),
    "channels backwards": lambda g: g.end(g.cut(g.signs_of_stem(), [-1], [-9], [1], [-1]), 8, 8),
    "some channels as a row": lambda g: g.classes(g.cut(g.signs_of_stem(), [2], [7], [1], [1]), 5 * 64),
    "every second pixel of bits": lambda g: g.end(g.cut(g.signs_of_stem(), [1, 0], [END] * 2, [2, 3], [2, 2]), 8, 4),
    "cropped": lambda g: g.end(g.cut(g.signs_of_stem(), [1, 0], [7, 6], [2, 3], [1, 1]), 8, 6),
    "cropped residual": cropped_residual,
    "padded residual": padded_residual,
    "unevenly padded residual": unevenly_padded_residual,
    "blocks": blocks,
    "blocks by SpaceToDepth": space_to_depth,
    "a pad and a padded layer": lambda g: g.end(g.pad(g.quant(g.stem(), 0.25, 4)), 8, 10),
    "two readers of a pad": two_readers_of_a_pad,
    "a pad in front of the sign": lambda g: g.end(g.bipolar(g.pad(g.stem())), 8, 10),
    "a pad in front of ReLU": lambda g: g.end(g.quant(g.node("Relu", g.pad(g.stem())), 0.25, 3, signed=0), 8, 10),
    "a pad of signs in front of a scale": lambda g: g.end(
        g.quant(g.node("Mul", g.pad(g.signs_of_stem()), 3.0), 0.5, 6), 8, 10
    ),
    "channels of 0 behind signs": lambda g: g.end(
        g.node("Pad", g.signs_of_stem(), [0, 2, 0, 0, 0, 3, 0, 0], 0.0), 13, 8
    ),
}
EXACT |= {
    "a pad of bits": lambda g: g.end(g.pad(g.signs_of_stem(), 0.0), 8, 10),
    "a pad of bits in front of a pool": lambda g: g.end(
        g.node("MaxPool", g.pad(g.signs_of_stem(), -1.0), kernel_shape=[2, 2], strides=[2, 2]), 8, 5
    ),
    "two pads": lambda g: g.end(
        g.pad(g.pad(g.quant(g.stem(), 0.25, 4), pads=(0, 0, 1, 0, 0, 0, 1, 0)), pads=(0, 0, 0, 1, 0, 0, 0, 1)), 8, 10
    ),
    "a pad in front of a norm": lambda g: g.end(g.bipolar(g.norm(g.pad(g.quant(g.stem(), 0.25, 4)), 8)), 8, 10),
    "every second channel": lambda g: g.end(g.cut(g.quant(g.stem(), 0.25, 4), [0], [END], [1], [2]), 4, 8),
    "a slice, and a slice of it": lambda g: _slice_and_slice(g),
}


def _slice_and_slice(g):
    s = g.cut(g.signs_of_stem(), [2], [7], [1], [1])
    parts = [
        g.quant(g.layer(s, 8, 5, strides=[2, 2], pads=[1] * 4), 0.25, 4),
        g.quant(g.layer(g.cut(s, [0, 0], [END] * 2, [2, 3], [2, 2]), 8, 5, pads=[1] * 4), 0.25, 4),
    ]
    return g.end(g.bipolar(g.node("Add", *parts)), 8, 4)


CALIBRATED = {
    "shortcut of samples": lambda g: shortcut_of_samples(g, g.stem()),
    "some channels of a real map": lambda g: g.end(g.bipolar(g.cut(g.stem(), [2], [7], [1], [1])), 5, 8),
}


@pytest.mark.parametrize("name", [*EXACT, *CALIBRATED])
def test_moved_elements(name, tmp_path):
    g = Maps()
    network = {**EXACT, **CALIBRATED}[name](g)
    near(g.save(tmp_path / "network.onnx", network))


def test_elements_moved_several_times_are_one_layer(tmp_path):
    g = Maps()
    x = g.signs_of_stem()
    for _ in range(3):
        x = shuffled(g, x)
    kinds = [node.kind for node in near(g.save(tmp_path / "network.onnx", g.end(x, 8, 8)))]
    g = Maps()
    straight = [node.kind for node in near(g.save(tmp_path / "straight.onnx", g.end(g.signs_of_stem(), 8, 8)))]
    assert len(kinds) <= len(straight) + 3  # a window, sums, signs


def test_what_repeats_pixels_is_refused(tmp_path):
    g = Maps()
    x = g.node("Resize", g.signs_of_stem(), "", [1.0, 1.0, 2.0, 2.0], mode="nearest")
    with pytest.raises(FlowError, match=r"Resize_0 \(Resize.*no hardware node does this"):
        near(g.save(tmp_path / "network.onnx", g.end(x, 8, 16)))


@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_channels_of_another_value_are_refused(value, tmp_path):
    g = Maps()
    x = g.node("Pad", g.signs_of_stem(), [0, 2, 0, 0, 0, 3, 0, 0], value)
    with pytest.raises(FlowError, match="Pad_0"):
        near(g.save(tmp_path / "network.onnx", g.end(x, 13, 8)))


@pytest.mark.parametrize("axes, pads", [([2, 3], [1, 2, 2, 1]), ([-1, 2], [2, 1, 1, 2]), ([1], [2, 3])])
def test_pads_of_some_axes(axes, pads, tmp_path):
    """As opset 18 has them."""
    g, size = Maps(), (13, 8) if axes == [1] else (8, 11)
    x = g.node("Pad", g.quant(g.stem(), 0.25, 4), pads, 0.0, axes)
    near(g.save(tmp_path / "network.onnx", g.end(x, *size), opset=18))


def test_a_pad_that_cuts(tmp_path):
    g = Maps()
    x = g.pad(g.signs_of_stem(), 0.0, pads=(0, 0, -1, 0, 0, 0, -1, -2))
    near(g.save(tmp_path / "network.onnx", g.end(x, 8, 6)))


def test_pads_that_cut_and_pad_are_refused(tmp_path):
    g = Maps()
    x = g.pad(g.signs_of_stem(), -1.0, pads=(0, 0, -1, -1, 0, 0, 1, 1))
    with pytest.raises(FlowError, match="Pad_0|cut off"):
        near(g.save(tmp_path / "network.onnx", g.end(x, 8, 8)))


def test_a_mean_of_each_channel_in_front_of_a_move(tmp_path):
    g = Maps()
    x = g.node(
        "Gather", g.node("Sub", "image", np.float32([0.125, 0.25, 0.375]).reshape(1, 3, 1, 1)), [2, 1, 0], axis=1
    )
    x = g.conv(g.quant(x, 1 / 32, 8), g.weights(8, 3, 3, 3), pads=[1] * 4)
    near(g.save(tmp_path / "network.onnx", g.end(g.bipolar(g.norm(x, 8)), 8, 8)))


@pytest.mark.parametrize("rounding", ["UP", "DOWN", "HALF_UP", "HALF_DOWN"])
def test_roundings_of_the_scores(rounding, tmp_path):
    g = Maps()
    x = g.node("MatMul", g.node("Flatten", g.signs_of_stem()), g.integer_weights(512, 5, scale=0.125, bits=3))
    near(g.save(tmp_path / "network.onnx", g.quant(x, 0.5, 8, rounding=rounding)))


def _pool(g, x, value, pads=1, kernel=3):
    return g.node("MaxPool", g.pad(x, value, [0, 0, pads, pads] * 2), kernel_shape=[kernel] * 2, strides=[1, 1])


WIDE_PADS = {
    "of a 1x1 layer": lambda g: g.classes(
        g.bipolar(g.norm(g.conv(g.signs_of_stem(4), g.binary_weights(4, 4, 1, 1), pads=[1] * 4), 4)), 400
    ),
    "of a layer": lambda g: g.classes(
        g.bipolar(g.norm(g.conv(g.quant(g.stem(channels=4), 0.25, 4), g.weights(4, 4, 3, 3), pads=[3] * 4), 4)), 576
    ),
    "of the image": lambda g: g.classes(
        g.bipolar(g.norm(g.conv(g.image(), g.weights(4, 3, 3, 3), pads=[3] * 4), 4)), 576
    ),
    "in front of a layer": lambda g: g.classes(
        g.bipolar(g.norm(g.conv(g.pad(g.signs_of_stem(4), 0.0, [0, 0, 3, 3] * 2), g.weights(4, 4, 3, 3)), 4)), 576
    ),
    "-inf of a pool": lambda g: g.end(g.bipolar(g.norm(_pool(g, g.quant(g.stem(), 0.25, 4), -np.inf), 8)), 8, 8),
    "-1e30 of a pool": lambda g: g.end(g.bipolar(g.norm(_pool(g, g.quant(g.stem(), 0.25, 4), -1e30), 8)), 8, 8),
    "-inf of bits": lambda g: g.end(_pool(g, g.signs_of_stem(), -np.inf), 8, 8),
}


@pytest.mark.parametrize("name", WIDE_PADS)
def test_pads_as_large_as_windows_and_pads_of_a_maximum(name, tmp_path):
    g = Maps()
    near(g.save(tmp_path / "network.onnx", WIDE_PADS[name](g)))


@pytest.mark.parametrize("what", ["a window of pads", "a layer"])
def test_pads_of_no_number_are_refused(what, tmp_path):
    g = Maps()
    x = g.quant(g.stem(), 0.25, 4)
    x = _pool(g, x, -np.inf, 2, 2) if what == "a window of pads" else g.pad(x, -np.inf, [0, 0, 1, 1] * 2)
    with pytest.raises(FlowError, match=r"Pad_0 \(Pad\): it pads with -inf; pad a pool in the pool itself"):
        near(g.save(tmp_path / "network.onnx", g.bipolar(g.layer(x, 4, 8))))


class Signals(Maps):
    """A graph on a signal [1, 2, 20]; `signs` has 8 channels of it."""

    def __init__(self):
        super().__init__()
        self.shape = (1, 2, 20)

    def signs(self):
        return self.bipolar(self.norm(self.conv(self.image(), self.weights(8, 2, 3), pads=[1, 1]), 8))

    def read(self, x, channels, samples):
        x = self.norm(self.conv(x, self.binary_weights(4, channels, 3, scale=0.2)), 4)
        return self.classes(self.bipolar(x), 4 * (samples - 2))


def _halves_of_a_signal(g):
    first, second = g.split(g.signs())
    parts = (g.quant(g.norm(g.conv(x, g.binary_weights(4, 4, 3, scale=0.2)), 4), 0.25, 4) for x in (first, second))
    return g.classes(g.bipolar(g.node("Add", *parts)), 4 * 18)


SIGNALS = {
    "some channels": lambda g: g.read(g.cut(g.signs(), [2], [7], [1], [1]), 5, 20),
    "every second sample": lambda g: g.read(g.cut(g.signs(), [0], [END], [2], [2]), 8, 10),
    "a part of both": lambda g: g.read(g.cut(g.signs(), [1, 3], [6, END], [-2, -1], [1, 1]), 5, 17),
    "chosen channels": lambda g: g.read(g.node("Gather", g.signs(), [5, 0, 2, 2], axis=1), 4, 20),
    "halves": _halves_of_a_signal,
}


@pytest.mark.parametrize("name", SIGNALS)
def test_moved_samples(name, tmp_path):
    g = Signals()
    near(g.save(tmp_path / "network.onnx", SIGNALS[name](g)))


def _row(g):
    row = g.node("Flatten", g.signs_of_stem(4))
    norm = g.batch_norm(g.node("MatMul", row, g.binary_weights(256, 24, scale=0.1)), np.linspace(0.5, 1.5, 24), 0.1)
    return g.bipolar(norm)


def _halves_of_a_row(g):
    first, second = g.split(_row(g))
    parts = (g.quant(g.node("MatMul", x, g.weights(12, 9)), 0.25, 5) for x in (first, second))
    return g.node("MatMul", g.bipolar(g.node("Sub", g.node("Add", *parts), 0.125)), g.weights(9, 5))


ROWS = {
    "some elements": lambda g: g.node("MatMul", g.cut(_row(g), [3], [20], [1], [1]), g.weights(17, 5)),
    "every third": lambda g: g.node("MatMul", g.cut(_row(g), [1], [END], [1], [3]), g.weights(8, 5)),
    "chosen": lambda g: g.node("MatMul", g.node("Gather", _row(g), [7, 1, 1, 20], axis=1), g.weights(4, 5)),
    "halves": _halves_of_a_row,
}


@pytest.mark.parametrize("name", ROWS)
def test_moved_elements_of_a_row(name, tmp_path):
    g = Maps()
    near(g.save(tmp_path / "network.onnx", ROWS[name](g)))

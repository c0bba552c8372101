"""What the analysis says of every tensor, against the graph's own execution on random images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.analysis import Scaled, scaled_tensors
from flow.execute import Execution
from tests.passes.graphs import QonnxGraph, random_images

POWERS = [0.25, 0.5, 1.0, 2.0, -0.5, -1.0]  # of two, so that float32 rounds nothing


def checked(model) -> dict[str, Scaled]:
    """Return the analysis of ``model``, after a comparison of every tensor that it knows with its values."""
    found = scaled_tensors(model)
    image = model.graph.input[0].name
    pixels = random_images(model, count=8).transpose(0, 3, 1, 2).astype(np.float32)
    values = Execution(model).run({image: pixels}, keep=True)
    for tensor, known in found.items():
        integers = known.integers(values[tensor])
        np.testing.assert_array_equal(integers, np.rint(integers), err_msg=tensor)
        assert (integers >= known.low).all() and (integers <= known.high).all(), tensor
        assert not ((integers - known.low) % known.stride).any(), tensor
        np.testing.assert_array_equal(known.values(integers), values[tensor], err_msg=tensor)
    return found


class Random:
    """A graph of random nodes, each on an earlier tensor [1, 4, H, W]; ``known``: tensors the analysis must know."""

    def __init__(self, seed: int):
        self.graph, self.rng = QonnxGraph(channels=4, height=8, seed=seed), np.random.default_rng(seed)
        self.maps = [(self.graph.integers(bits=4), 8), (self.graph.signs(0.5), 8)]

    def grow(self) -> None:
        index = int(self.rng.integers(len(self.maps)))
        x, size = self.maps[index]
        kind = self.rng.choice(["conv", "depthwise", "affine", "norm", "pool", "bend", "quant", "add", "concat"])
        y = getattr(self, f"_{kind}")(x, size)
        if y is not None:
            self.maps.append(y)

    def output(self) -> str:
        x, size = self.maps[-1]
        flat = self.graph.node("Flatten", x)
        return self.graph.node("MatMul", flat, self.graph.integer_weights(4 * size * size, 3, scale=0.25))

    def _conv(self, x, size):
        weights = (
            self.graph.binary_weights(4, 4, 3, 3)
            if self.rng.random() < 0.5
            else (self.graph.integer_weights(4, 4, 3, 3, scale=0.5))
        )
        bias = [self.rng.integers(-3, 4, 4).astype(float)] if self.rng.random() < 0.5 else []
        return self.graph.conv(x, weights, *bias, pads=[1] * 4), size

    def _depthwise(self, x, size):
        return self.graph.conv(x, self.graph.binary_weights(4, 1, 3, 3, scale=0.5), group=4, pads=[1] * 4), size

    def _affine(self, x, size):
        kind = self.rng.choice(["Add", "Sub", "Mul", "Div"])
        values = self.rng.choice(POWERS, (1, 4, 1, 1) if self.rng.random() < 0.5 else ())
        order = (x, values) if kind == "Div" or self.rng.random() < 0.5 else (values, x)
        return self.graph.node(kind, *order), size

    def _norm(self, x, size):
        return self.graph.batch_norm(x, self.rng.choice(POWERS, 4), bias=self.rng.integers(-3, 4, 4)), size

    def _pool(self, x, size):
        if size < 4:
            return None
        kind = self.rng.choice(["MaxPool", "AveragePool"])
        return self.graph.node(kind, x, kernel_shape=[2, 2], strides=[2, 2]), size // 2

    def _bend(self, x, size):
        return (self.graph.node("Relu", x) if self.rng.random() < 0.5 else self.graph.node("Clip", x, -1.0, 1.0)), size

    def _quant(self, x, size):
        if self.rng.random() < 0.3:
            return self.graph.bipolar(x, 0.5), size
        signed, zero = int(self.rng.integers(2)), float(self.rng.integers(3))
        bits, narrow = int(self.rng.integers(1, 6)), int(self.rng.integers(2))
        bits = max(bits, 2) if narrow else bits
        return self.graph.quant(x, self.rng.choice([0.25, 0.5]), bits, signed, narrow, zero=zero), size

    def _add(self, x, size):
        others = [name for name, other in self.maps if other == size]
        return self.graph.node("Add", x, str(self.rng.choice(others))), size

    def _concat(self, x, size):
        others = [name for name, other in self.maps if other == size]
        both = self.graph.node("Concat", x, str(self.rng.choice(others)), axis=1)
        return self.graph.conv(both, self.graph.integer_weights(4, 8, 1, 1, scale=0.5)), size


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 9))
def test_random_graphs(seed, nodes):
    random = Random(seed)
    for _ in range(nodes):
        random.grow()
    found = checked(random.graph.model(random.output()))
    assert len(found) >= 2  # the two first quantizers at least


def test_offsets_and_scales_a_channel_pass_pools_and_a_flatten():
    graph = QonnxGraph(channels=2)
    x = graph.batch_norm(graph.integers(), [0.5, -2.0], [1.0, 3.0])
    pooled = graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    flat = graph.node("Flatten", graph.node("GlobalAveragePool", pooled))
    found = checked(graph.model(flat))
    np.testing.assert_array_equal(found[flat].scale, [[0.03125, -0.125]])
    np.testing.assert_array_equal(found[flat].offset, [[1.0, 3.0]])
    assert found[flat].per_channel and (found[flat].high == 4 * 15).all()


def test_padding_around_an_offset_needs_zero_on_the_grid():
    graph = QonnxGraph()
    weights = graph.integer_weights(4, 4, 3, 3)
    on, off = (graph.node("Add", graph.integers(), value) for value in (0.5, 0.1))
    found = scaled_tensors(
        graph.model(graph.node("Concat", *(graph.conv(x, weights, pads=[1] * 4) for x in (on, off)), axis=1))
    )
    assert "Conv_0_out" in found and "Conv_1_out" not in found


@pytest.mark.parametrize(
    ("make", "bipolar", "unipolar"),
    [
        (lambda g: g.signs(0.5), True, False),
        (lambda g: g.quant(g.integers(), 0.5, 1, signed=0), False, True),
        (lambda g: g.node("Neg", g.signs()), True, False),
        (lambda g: g.node("Add", g.signs(), 1.0), False, True),
        (lambda g: g.integers(), False, False),
        (lambda g: g.node("MaxPool", g.signs(), kernel_shape=[3, 3], pads=[1] * 4), True, False),
    ],
)
def test_bits(make, bipolar, unipolar):
    graph = QonnxGraph()
    output = make(graph)
    known = checked(graph.model(output))[output]
    assert (known.is_bipolar, known.is_unipolar) == (bipolar, unipolar)


@pytest.mark.parametrize("kind", ["Sigmoid", "real weights", "weights with a scale an input", "product", "PRelu"])
def test_what_is_no_scaled_integer(kind):
    graph = QonnxGraph()
    x = graph.integers()
    match kind:
        case "real weights":
            y = graph.conv(x, graph.rng.normal(size=(4, 4, 3, 3)))
        case "weights with a scale an input":
            y = graph.conv(x, graph.integer_weights(4, 4, 1, 1, scale=np.float32([1, 2, 4, 8]).reshape(1, 4, 1, 1)))
        case "product":
            y = graph.node("Mul", x, graph.signs())
        case "PRelu":
            y = graph.node("PRelu", x, np.full((4, 1, 1), 0.3))
        case _:
            y = graph.node(kind, x)
    assert y not in checked(graph.model(y))


def test_a_quantizer_of_a_narrow_interval_is_known_to_be_narrow():
    graph = QonnxGraph()
    x = graph.quant(graph.integers(bits=3), 0.25, 8)
    known = checked(graph.model(x))[x]
    assert (known.low.item(), known.high.item()) == (-4, 3)
    assert str(known) == "-4..3 x 0.25"


def test_pixels_are_bytes_between_two_values():
    graph = QonnxGraph()
    x = graph.node("Add", graph.node("Mul", "image", 2.0), 0.5)
    known = scaled_tensors(graph.model(x), (-1.0, 1.0))[x]
    assert known.scale.item() == pytest.approx(4 / 255) and known.offset.item() == -1.5
    assert (known.low.item(), known.high.item()) == (0, 255)
    assert x not in scaled_tensors(graph.model(x))

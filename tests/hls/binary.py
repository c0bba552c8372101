"""Cases of the binary engines: the call that flow/emit/hls_nodes.py makes of a node, on the node's own random data."""

from dataclasses import dataclass

import numpy as np
from onnx import helper
from qonnx.custom_op.registry import getCustomOp

from flow.emit.hls_nodes import call_of
from flow.graph import Node
from flow.ops import DOMAIN

from .harness import Case, instance

FRAMES = 2
ACTIVATIONS = "".join(f'#include "{name}.hpp"\n' for name in ("majority_vote", "threshold", "popcount_scale", "sum"))


@dataclass(frozen=True)
class Engine:
    """A binary layer under test: ``name``, the kind of its node, and the node's attributes."""

    name: str
    kind: str
    attributes: dict

    @property
    def op(self):
        return getCustomOp(
            helper.make_node(self.kind, ["in"], ["out"], name=self.name, domain=DOMAIN, **self.attributes)
        )

    def rng(self, stream):
        return np.random.default_rng([stream, *self.name.encode()])

    def constants(self):
        """Weights and the activation's constants; thresholds that every sum reaches and that none does, and the largest
        multipliers, are among them."""
        op, rng = self.op, self.rng(0)
        n = op.weight_bits // op.features
        weights = rng.choice([-1, 1], (op.features, n))
        if op.activation == "threshold":
            thresholds = rng.integers(-n // 4, n // 4 + 1, op.features)
            thresholds[:2] = n + 1, -n
            return weights, thresholds
        if op.activation == "popcount_scale":
            multipliers = rng.integers(-(1 << 12), 1 << 12, op.features)
            multipliers[:2] = -(1 << 31), (1 << 31) - 1
            return (
                weights,
                multipliers,
                rng.integers(-(1 << 40), 1 << 40, op.features) >> rng.integers(0, 40, op.features),
            )
        return (weights,)

    def data(self):
        """Bipolar input of FRAMES frames, 0 in every third masked beat."""
        op, rng = self.op, self.rng(1)
        x = rng.choice([-1, 1], (FRAMES, op.height, op.width, op.channels))
        if self.kind == "XnorPopcount":
            weights = self.constants()[0]
            x[0, 0, 0], x[1, 0, 0] = weights[0], -weights[0]  # sums n and -n
        if op.inputs()[0].masked:
            x.reshape(-1, op.simd)[rng.integers(0, 3, x.size // op.simd) == 0] = 0
            x[0, -1, -1] = 0
        return x

    def reference(self):
        """The node's output as beats of integers, votes as 0 and 1."""
        op = self.op
        y = op.evaluate(self.data(), *self.constants()).reshape(-1, op.pe)
        return y if op.outputs()[0].bits > 1 else (y + 1) // 2

    def case(self):
        """The call of the node's header; its weights come first, as ``weights`` or as ``ddr`` of the stationary engine."""
        op = self.op
        call = call_of(Node(op, ("in",), ("out",), self.constants()))
        tables = {
            table.suffix: (table.ctype, table.values.astype(table.ctype.removesuffix("_t"))) for table in call.tables
        }
        arguments = ("in", "out", *tables)
        if self.kind == "WeightStationary":
            arguments = ("in", "ddr", "out", *tables)
            tables["ddr"] = ("ap_uint<64>", ddr_words(self.constants()[0], op.pe, op.simd))
        inputs = {"in": (beats(self.data(), op.inputs()[0]), 1)}
        return Case(
            self.name,
            instance(call.function, *call.parameters.values()),
            inputs=inputs,
            outputs={"out": (op.pe, op.outputs()[0].bits)},
            tables=tables,
            arguments=arguments,
            frames=FRAMES,
        )


def beats(x, stream):
    """A bipolar tensor as the bits of its beats: [beats, P], and in a masked stream the bit that says that they are 0."""
    groups = np.asarray(x).reshape(-1, stream.parallel)
    bits = (groups > 0).astype(int)
    return np.hstack([bits, (groups == 0).all(axis=1, keepdims=True)]) if stream.masked else bits


def ddr_words(weights, pe, simd):
    """The weights as they lie in memory: PE 0 lowest in each word, words one after the other."""
    outputs, inputs = weights.shape
    words = weights.reshape(outputs // pe, pe, inputs // simd, simd).transpose(0, 2, 1, 3)
    return np.packbits(words.reshape(-1) > 0, bitorder="little").view(np.uint64)

"""Mutations of a graph: nodes dropped, doubled, moved and retyped; attributes, shapes, versions and names changed.

Each takes a network, which it changes, and a generator; it returns what it did in words, or None where the network
has no place for it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

KINDS = (
    *("Relu", "Sigmoid", "Tanh", "Sign", "Neg", "Abs", "Floor", "Round", "Sqrt", "Exp", "Log", "Identity", "Dropout"),
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Where", "Greater", "PRelu", "LeakyRelu", "Clip", "HardSwish"),
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean"),
    *("BatchNormalization", "LayerNormalization", "Softmax", "ArgMax", "TopK", "Flatten", "Reshape", "Transpose"),
    *("Concat", "Split", "Slice", "Gather", "Pad", "Squeeze", "Unsqueeze", "Resize", "Cast", "Shape", "Constant"),
    *(
        "QuantizeLinear",
        "DequantizeLinear",
        "Quant",
        "BipolarQuant",
        "Trunc",
        "MultiThreshold",
        "If",
        "Loop",
        "Mystery",
    ),
)
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "qonnx.custom_op.general", "finn.custom_op.general", "nowhere")
DIMENSIONS = (0, -1, 1, 2, 3, 5, 7, 1 << 16, 1 << 40)
NUMBERS = (0.0, -1.0, 1.0, 0.5, 1e-30, -1e-3, 1e30, float("nan"), float("inf"), -float("inf"))
NAMES = ("", " ", "a/b", "名", "pixels", "x" * 300)
ODD_TYPES = (TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING, TensorProto.BOOL, 99)


# ------------------------------------------------------------ nodes


def drop_node(model: ModelProto, generator: random.Random) -> str | None:
    """Remove a node; its readers take its first input, or nothing at all."""
    graph, node = model.graph, pick(model.graph.node, generator)
    if node is None or not node.output:
        return None
    rewired = bool(node.input) and generator.random() < 0.7
    name, output, source = named(node), node.output[0], node.input[0] if node.input else ""
    graph.node.remove(node)
    if rewired:
        _reroute(graph, output, source)
    return f"{name}, {'rewired' if rewired else 'left dangling'}"


def duplicate_node(model: ModelProto, generator: random.Random) -> str | None:
    """Put a copy of a node behind it, which reads it; or beside it, which writes the same names."""
    graph, node = model.graph, pick(model.graph.node, generator)
    if node is None or not node.output or not node.input:
        return None
    index, copy, output = list(graph.node).index(node), NodeProto(), node.output[0]
    copy.CopyFrom(node)
    behind = generator.random() < 0.7
    if behind:
        _reroute(graph, output, f"{output}_again")
        copy.input[0], copy.output[0] = output, f"{output}_again"
        copy.name = f"{node.name}_again"
    graph.node.insert(index + 1, copy)
    return f"{named(node)}, {'behind itself' if behind else 'of the same names'}"


def swap_order(model: ModelProto, generator: random.Random) -> str | None:
    """Write two nodes in each other's place; what they read and write stays."""
    if len(model.graph.node) < 2:
        return None
    first, second = sorted(generator.sample(range(len(model.graph.node)), 2))
    one, other = NodeProto(), NodeProto()
    one.CopyFrom(model.graph.node[first])
    other.CopyFrom(model.graph.node[second])
    model.graph.node[first].CopyFrom(other)
    model.graph.node[second].CopyFrom(one)
    return f"{named(one)} and {named(other)}"


def swap_inputs(model: ModelProto, generator: random.Random) -> str | None:
    """Exchange an input of a node with one of its own, or of another node."""
    one, other = (pick([node for node in model.graph.node if node.input], generator) for _ in range(2))
    if one is None or other is None:
        return None
    other = one if generator.random() < 0.5 else other
    i, j = generator.randrange(len(one.input)), generator.randrange(len(other.input))
    if one.input[i] == other.input[j]:
        return None
    one.input[i], other.input[j] = other.input[j], one.input[i]
    return f"{i} of {named(one)} and {j} of {named(other)}"


def change_input(model: ModelProto, generator: random.Random) -> str | None:
    """Let a node read another tensor, earlier, later or its own; or leave an input out, or give one more."""
    node = pick(model.graph.node, generator)
    names = [name for other in model.graph.node for name in (*other.input, *other.output)]
    if node is None or not names:
        return None
    kind = generator.choice(("another", "none", "missing", "more")) if node.input else "more"
    index = generator.randrange(len(node.input)) if node.input else 0
    if kind == "another":
        node.input[index] = generator.choice(names)
    elif kind == "none":
        node.input[index] = ""
    elif kind == "missing":
        del node.input[-1]
    else:
        node.input.append(generator.choice(names))
    return f"{kind}, {index} of {named(node)}"


def retype_node(model: ModelProto, generator: random.Random) -> str | None:
    """Make a node one of another kind."""
    node = pick(model.graph.node, generator)
    if node is None:
        return None
    old, node.op_type = named(node), generator.choice(KINDS)
    if generator.random() < 0.3:
        del node.attribute[:]
    return f"{old} is {node.op_type}"


def change_domain(model: ModelProto, generator: random.Random) -> str | None:
    """Give a node another domain."""
    node = pick(model.graph.node, generator)
    if node is None:
        return None
    node.domain = generator.choice(DOMAINS)
    return f"{named(node)} of {node.domain!r}"


# ------------------------------------------------------------ attributes


def change_attribute(model: ModelProto, generator: random.Random) -> str | None:
    """Change, remove or add an attribute."""
    node = pick([node for node in model.graph.node if node.attribute], generator)
    if node is None:
        return None
    attribute = generator.choice(list(node.attribute))
    kind = generator.choice(("value", "value", "value", "type", "missing", "unknown", "name"))
    before = f"{attribute.name} of {named(node)}"
    if kind == "missing":
        node.attribute.remove(attribute)
    elif kind == "unknown":
        node.attribute.append(helper.make_attribute("colour", "red"))
    elif kind == "name":
        attribute.name = "colour"
    elif kind == "type":
        value = generator.choice((3, 2.5, "SAME", [1, 2], [0.5], ["a"]))
        attribute.CopyFrom(helper.make_attribute(attribute.name, value))
    else:
        _change_value(attribute, generator)
    return f"{kind} of {before}"


def _change_value(attribute: AttributeProto, generator: random.Random) -> None:
    kinds = AttributeProto
    if attribute.type == kinds.INT:
        attribute.i = generator.choice((0, -1, 1, 2, 3, 9, 1 << 40, attribute.i + 1))
    elif attribute.type == kinds.FLOAT:
        attribute.f = generator.choice(NUMBERS)
    elif attribute.type == kinds.STRING:
        attribute.s = generator.choice((b"", b"FLOOR", b"CEIL", b"SAME_UPPER", b"VALID", b"NHWC", b"\xff\xfe"))
    elif attribute.type == kinds.INTS:
        values = list(attribute.ints)
        change = generator.choice(("one", "one", "longer", "shorter", "empty", "shuffled"))
        if change == "one" and values:
            values[generator.randrange(len(values))] = generator.choice((0, -1, 1, 2, 3, 7, 1 << 33))
        elif change == "longer":
            values.append(1)
        elif change == "shorter":
            values = values[:-1]
        elif change == "shuffled":
            generator.shuffle(values)
        else:
            values = []
        del attribute.ints[:]
        attribute.ints.extend(values)
    elif attribute.type == kinds.FLOATS:
        del attribute.floats[:]
        attribute.floats.extend(generator.sample(NUMBERS, 3))


# ------------------------------------------------------------ the graph's own


def change_shape(model: ModelProto, generator: random.Random) -> str | None:
    """Change the shape, or the type, that an input, an output or a tensor between is said to have."""
    infos = [*model.graph.input] * 3 + [*model.graph.output] * 3 + [*model.graph.value_info]
    info = pick(infos, generator)
    if info is None:
        return None
    dims = info.type.tensor_type.shape.dim
    kind = generator.choice(("size", "size", "symbol", "more", "fewer", "none", "type"))
    if kind == "type":
        info.type.tensor_type.elem_type = generator.choice(ODD_TYPES)
    elif kind == "more":
        dims.add().dim_value = generator.choice(DIMENSIONS)
    elif kind == "none" or not dims:
        info.type.tensor_type.ClearField("shape")
    elif kind == "fewer":
        del dims[generator.randrange(len(dims))]
    else:
        dim = generator.choice(list(dims))
        if kind == "size":
            dim.dim_value = generator.choice(DIMENSIONS)
        else:
            dim.dim_param = "N"
    return f"{kind} of {info.name}"


def change_output(model: ModelProto, generator: random.Random) -> str | None:
    """Make a tensor between the network's output, or another output of it."""
    names = [name for node in model.graph.node for name in node.output]
    if not names or not model.graph.output:
        return None
    name = generator.choice(names)
    info = onnx.ValueInfoProto()
    info.CopyFrom(helper.make_empty_tensor_value_info(name))
    info.type.tensor_type.elem_type = TensorProto.FLOAT
    if another := generator.random() < 0.2:
        model.graph.output.append(info)
    else:
        model.graph.output[0].CopyFrom(info)
    return f"{name} {'too' if another else 'instead'}"


def change_opset(model: ModelProto, generator: random.Random) -> str | None:
    """Say another version of a set of operators, one twice, or none."""
    entry = pick(model.opset_import, generator)
    if entry is None:
        return None
    kind = generator.choice(("version", "version", "version", "twice", "none", "domain"))
    if kind == "version":
        entry.version = generator.choice((0, -1, 1, 6, 7, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 99))
    elif kind == "twice":
        model.opset_import.add().CopyFrom(helper.make_opsetid(entry.domain, entry.version + 1))
    elif kind == "none":
        model.opset_import.remove(entry)
        return "none"
    else:
        entry.domain = generator.choice(DOMAINS)
    return f"{kind}: {entry.domain!r} {entry.version}"


def change_name(model: ModelProto, generator: random.Random) -> str | None:
    """Rename a node, or a tensor where it is written, read, or both: to nothing, to one that there is, to odd ones."""
    node = pick([node for node in model.graph.node if node.output], generator)
    if node is None:
        return None
    taken = generator.choice(list(model.graph.node))
    name = generator.choice((*NAMES, taken.name, *taken.output))
    kind = generator.choice(("node", "output", "everywhere"))
    old = named(node)
    if kind == "node":
        node.name = name
    elif kind == "output":
        node.output[0] = name
    else:
        _rename(model.graph, node.output[0], name)
    return f"{kind} of {old}: {name[:20]!r}"


def pick(things: Iterable, generator: random.Random):
    """Return one of the things, None if there are none."""
    things = list(things)
    return generator.choice(things) if things else None


def named(node: NodeProto) -> str:
    """Return a node's kind and name."""
    return f"{node.op_type} {node.name or (node.output[0] if node.output else '')}"


def _reroute(graph: GraphProto, old: str, new: str) -> None:
    """Make readers of ``old``, and the network's output, take ``new``."""
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new
    for info in graph.output:
        if info.name == old:
            info.name = new


def _rename(graph: GraphProto, old: str, new: str) -> None:
    _reroute(graph, old, new)
    for node in graph.node:
        for position, name in enumerate(node.output):
            if name == old:
                node.output[position] = new

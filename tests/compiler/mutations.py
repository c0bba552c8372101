"""Changes of valid ONNX files, each drawn from a seeded generator: of nodes, attributes, constants, shapes and bytes.

`mutated` applies 1 to 3 of them to the bytes of a file; the same seed gives the same bytes. What comes out may still be
a network, another one, or no file at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

COUNTS = (1, 1, 2, 3)  # of mutations of a file
TRIES = 20  # to draw one that the file has a place for

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
BITS = (0.0, -1.0, 1.0, 2.5, 33.0, 64.0, 1e9)
TYPES = (TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT8, TensorProto.BOOL)
NAMES = ("", " ", "a/b", "名", "pixels", "x" * 300)
PLACES = ("nowhere.bin", "../../etc/passwd", "/etc/passwd", "")
ODD_TYPES = (TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING, TensorProto.BOOL, 99)


def mutated(content: bytes, generator: random.Random) -> tuple[bytes, list[str]]:
    """Return the bytes of a file after 1 to 3 mutations, and each of these in words."""
    model, said = onnx.load_model_from_string(content), []
    for _ in range(generator.choice(COUNTS)):
        for _ in range(TRIES):
            change = generator.choice(SELDOM if generator.random() < SELDOM_SHARE else OFTEN)
            copy = ModelProto()
            copy.CopyFrom(model)
            if (what := change(copy, generator)) is not None:
                model = copy
                said.append(f"{change.__name__}: {what}")
                break
    content = model.SerializeToString(deterministic=True)
    if generator.random() < BYTES_SHARE:
        damage = generator.choice(OF_BYTES)
        content, what = damage(content, generator)
        said.append(f"{damage.__name__}: {what}")
    return content, said


# ------------------------------------------------------------ nodes


def drop_node(model: ModelProto, generator: random.Random) -> str | None:
    """Remove a node; its readers take its first input, or nothing at all."""
    graph, node = model.graph, _one(model.graph.node, generator)
    if node is None or not node.output:
        return None
    rewired = bool(node.input) and generator.random() < 0.7
    name, output, source = _named(node), node.output[0], node.input[0] if node.input else ""
    graph.node.remove(node)
    if rewired:
        _reroute(graph, output, source)
    return f"{name}, {'rewired' if rewired else 'left dangling'}"


def duplicate_node(model: ModelProto, generator: random.Random) -> str | None:
    """Put a copy of a node behind it, which reads it; or beside it, which writes the same names."""
    graph, node = model.graph, _one(model.graph.node, generator)
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
    return f"{_named(node)}, {'behind itself' if behind else 'of the same names'}"


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
    return f"{_named(one)} and {_named(other)}"


def swap_inputs(model: ModelProto, generator: random.Random) -> str | None:
    """Exchange an input of a node with one of its own, or of another node."""
    one, other = (_one([node for node in model.graph.node if node.input], generator) for _ in range(2))
    if one is None or other is None:
        return None
    other = one if generator.random() < 0.5 else other
    i, j = generator.randrange(len(one.input)), generator.randrange(len(other.input))
    if one.input[i] == other.input[j]:
        return None
    one.input[i], other.input[j] = other.input[j], one.input[i]
    return f"{i} of {_named(one)} and {j} of {_named(other)}"


def change_input(model: ModelProto, generator: random.Random) -> str | None:
    """Let a node read another tensor, earlier, later or its own; or leave an input out, or give one more."""
    node = _one(model.graph.node, generator)
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
    return f"{kind}, {index} of {_named(node)}"


def retype_node(model: ModelProto, generator: random.Random) -> str | None:
    """Make a node one of another kind."""
    node = _one(model.graph.node, generator)
    if node is None:
        return None
    old, node.op_type = _named(node), generator.choice(KINDS)
    if generator.random() < 0.3:
        del node.attribute[:]
    return f"{old} is {node.op_type}"


def change_domain(model: ModelProto, generator: random.Random) -> str | None:
    """Give a node another domain."""
    node = _one(model.graph.node, generator)
    if node is None:
        return None
    node.domain = generator.choice(DOMAINS)
    return f"{_named(node)} of {node.domain!r}"


# ------------------------------------------------------------ attributes


def change_attribute(model: ModelProto, generator: random.Random) -> str | None:
    """Change, remove or add an attribute."""
    node = _one([node for node in model.graph.node if node.attribute], generator)
    if node is None:
        return None
    attribute = generator.choice(list(node.attribute))
    kind = generator.choice(("value", "value", "value", "type", "missing", "unknown", "name"))
    before = f"{attribute.name} of {_named(node)}"
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


# ------------------------------------------------------------ constants


def change_values(model: ModelProto, generator: random.Random) -> str | None:
    """Change some or all values of a constant to numbers that nobody means: zeros, negative, huge, NaN, infinite."""
    tensor, values = _constant(model, generator)
    if tensor is None or not values.size or values.dtype.kind not in "fi":
        return None
    number = generator.choice(NUMBERS)
    if values.dtype.kind == "i":
        number = generator.choice((0, -1, 1, 127, 1 << 40)) if values.dtype.itemsize == 8 else generator.choice((0, 1))
    values = values.copy()
    if everything := generator.random() < 0.3:
        values[...] = number
    else:
        values.flat[generator.randrange(values.size)] = number
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return f"{'all' if everything else 'one'} of {tensor.name} {number}"


def scale_values(model: ModelProto, generator: random.Random) -> str | None:
    """Multiply a constant, such as a scale, a norm's gain or weights, by a number that leaves a network."""
    tensor, values = _constant(model, generator)
    if tensor is None or values.dtype.kind != "f" or not values.size:
        return None
    factor = generator.choice((-1.0, 0.5, 2.0, 0.3, 1.7, 100.0, 1e-3))
    tensor.CopyFrom(numpy_helper.from_array((values * values.dtype.type(factor)), tensor.name))
    return f"{tensor.name} by {factor:g}"


def shuffle_values(model: ModelProto, generator: random.Random) -> str | None:
    """Give a constant its own values in another order, with as many signs changed."""
    tensor, values = _constant(model, generator)
    if tensor is None or values.size < 2:
        return None
    order = list(range(values.size))
    generator.shuffle(order)
    tensor.CopyFrom(numpy_helper.from_array(values.ravel()[order].reshape(values.shape), tensor.name))
    return tensor.name


def change_quantizer(model: ModelProto, generator: random.Random) -> str | None:
    """Give a quantizer another scale, zero point or number of bits: a number, or one for each channel."""
    node = _one([n for n in model.graph.node if n.op_type in ("Quant", "BipolarQuant", "Trunc")], generator)
    if node is None or len(node.input) < 2:
        return None
    index = generator.randrange(1, len(node.input))
    sane = generator.random() < 0.5
    allowed = {1: (0.125, 0.3, 1.0), 2: (0.0, 1.0, 3.0)}.get(index, (1.0, 2.0, 3.0, 5.0, 8.0))
    number = generator.choice(allowed if sane else {3: BITS, 4: BITS}.get(index, NUMBERS))
    value = np.full(generator.choice(((), (), (1,), (1, 1, 1, 1), (1, 3, 1, 1), (2,))), number, np.float32)
    name = f"fuzzed_{index}_{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    node.input[index] = name
    return f"input {index} of {_named(node)} is {number} of shape {list(value.shape)}"


def reshape_constant(model: ModelProto, generator: random.Random) -> str | None:
    """Give a constant another shape: of as many values, of fewer, or of none."""
    tensor, values = _constant(model, generator)
    if tensor is None or values.dtype.kind not in "fi":
        return None
    kind = generator.choice(("flat", "turned", "axis", "shorter", "empty", "false"))
    if kind == "false":
        tensor.dims.append(3)
    elif kind == "shorter" and values.ndim and len(values) > 1:
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values[:-1]), tensor.name))
    else:
        changed = {"flat": values.ravel(), "turned": values.T, "axis": values[None]}.get(kind, values.ravel()[:0])
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(changed), tensor.name))
    return f"{tensor.name} {kind}"


def retype_constant(model: ModelProto, generator: random.Random) -> str | None:
    """Store a constant's values in another type, or say another type of the same bytes."""
    tensor, values = _constant(model, generator)
    if tensor is None or values.dtype.kind not in "fi":
        return None
    kind = generator.choice(TYPES)
    if generator.random() < 0.3:
        tensor.data_type = kind
        return f"{tensor.name} is called {TensorProto.DataType.Name(kind)}"
    changed = np.nan_to_num(values).clip(-100, 100).astype(helper.tensor_dtype_to_np_dtype(kind))
    tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    return f"{tensor.name} as {TensorProto.DataType.Name(kind)}"


def drop_constant(model: ModelProto, generator: random.Random) -> str | None:
    """Remove a constant; perhaps it becomes an input of the network."""
    tensor = _one(model.graph.initializer, generator)
    if tensor is None:
        return None
    name, kind, dims = tensor.name, tensor.data_type, list(tensor.dims)
    model.graph.initializer.remove(tensor)
    if as_input := generator.random() < 0.3:
        model.graph.input.append(helper.make_tensor_value_info(name, kind, dims))
    return f"{name}, {'now an input' if as_input else 'read by its nodes still'}"


def external_constant(model: ModelProto, generator: random.Random) -> str | None:
    """Say that a constant's values are in another file."""
    tensor = _one(model.graph.initializer, generator)
    if tensor is None:
        return None
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", generator.choice(PLACES)
    return f"{tensor.name} in {entry.value!r}"


# ------------------------------------------------------------ the graph's own


def change_shape(model: ModelProto, generator: random.Random) -> str | None:
    """Change the shape, or the type, that an input, an output or a tensor between is said to have."""
    infos = [*model.graph.input] * 3 + [*model.graph.output] * 3 + [*model.graph.value_info]
    info = _one(infos, generator)
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
    entry = _one(model.opset_import, generator)
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
    node = _one([node for node in model.graph.node if node.output], generator)
    if node is None:
        return None
    taken = generator.choice(list(model.graph.node))
    name = generator.choice((*NAMES, taken.name, *taken.output))
    kind = generator.choice(("node", "output", "everywhere"))
    old = _named(node)
    if kind == "node":
        node.name = name
    elif kind == "output":
        node.output[0] = name
    else:
        _rename(model.graph, node.output[0], name)
    return f"{kind} of {old}: {name[:20]!r}"


# ------------------------------------------------------------ bytes


def flip(content: bytes, generator: random.Random) -> tuple[bytes, str]:
    """Change some bits."""
    changed = bytearray(content)
    places = [generator.randrange(len(changed)) for _ in range(generator.choice((1, 1, 2, 8, 64)))]
    for place in places:
        changed[place] ^= 1 << generator.randrange(8)
    return bytes(changed), f"{len(places)} bits"


def truncate(content: bytes, generator: random.Random) -> tuple[bytes, str]:
    """Cut the end off."""
    kept = generator.choice((0, 1, len(content) - 1, generator.randrange(len(content))))
    return content[:kept], f"{kept} of {len(content)} bytes are left"


def insert(content: bytes, generator: random.Random) -> tuple[bytes, str]:
    """Put random bytes between."""
    place, count = generator.randrange(len(content)), generator.choice((1, 4, 100))
    return content[:place] + generator.randbytes(count) + content[place:], f"{count} bytes at {place}"


OFTEN = (  # a network is often left
    *(drop_node, duplicate_node, retype_node, swap_inputs, change_attribute, scale_values, shuffle_values),
    *(change_quantizer, change_output, reshape_constant),
)
SELDOM = (
    *(swap_order, change_input, change_domain, change_values, retype_constant, drop_constant, external_constant),
    *(change_shape, change_opset, change_name),
)
OF_BYTES = (flip, truncate, insert)
SELDOM_SHARE, BYTES_SHARE = 0.25, 0.06  # the latter of the files


def _one(things: Iterable, generator: random.Random):
    things = list(things)
    return generator.choice(things) if things else None


def _named(node: NodeProto) -> str:
    return f"{node.op_type} {node.name or (node.output[0] if node.output else '')}"


def _constant(model: ModelProto, generator: random.Random) -> tuple[TensorProto | None, np.ndarray]:
    """Return an initializer or the tensor of a Constant whose values can be read, and these."""
    tensors = [*model.graph.initializer]
    tensors += [a.t for node in model.graph.node for a in node.attribute if a.type == AttributeProto.TENSOR]
    tensor = _one(tensors, generator)
    if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
        return None, np.zeros(0)
    try:
        return tensor, numpy_helper.to_array(tensor)
    except (ValueError, TypeError):  # of a mutation before
        return None, np.zeros(0)


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

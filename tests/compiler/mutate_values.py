"""Mutations of what a file holds: values, shapes and types of its constants, quantizers, and the bytes themselves."""

from __future__ import annotations

import random

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from .mutate_graph import NUMBERS, named, pick

BITS = (0.0, -1.0, 1.0, 2.5, 33.0, 64.0, 1e9)
TYPES = (TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT8, TensorProto.BOOL)
PLACES = ("nowhere.bin", "../../etc/passwd", "/etc/passwd", "")


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
    node = pick([n for n in model.graph.node if n.op_type in ("Quant", "BipolarQuant", "Trunc")], generator)
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
    return f"input {index} of {named(node)} is {number} of shape {list(value.shape)}"


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
    tensor = pick(model.graph.initializer, generator)
    if tensor is None:
        return None
    name, kind, dims = tensor.name, tensor.data_type, list(tensor.dims)
    model.graph.initializer.remove(tensor)
    if as_input := generator.random() < 0.3:
        model.graph.input.append(helper.make_tensor_value_info(name, kind, dims))
    return f"{name}, {'now an input' if as_input else 'read by its nodes still'}"


def external_constant(model: ModelProto, generator: random.Random) -> str | None:
    """Say that a constant's values are in another file."""
    tensor = pick(model.graph.initializer, generator)
    if tensor is None:
        return None
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", generator.choice(PLACES)
    return f"{tensor.name} in {entry.value!r}"


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


def _constant(model: ModelProto, generator: random.Random) -> tuple[TensorProto | None, np.ndarray]:
    """Return an initializer or the tensor of a Constant whose values can be read, and these."""
    tensors = [*model.graph.initializer]
    tensors += [a.t for node in model.graph.node for a in node.attribute if a.type == AttributeProto.TENSOR]
    tensor = pick(tensors, generator)
    if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
        return None, np.zeros(0)
    try:
        return tensor, numpy_helper.to_array(tensor)
    except (ValueError, TypeError):  # of a mutation before
        return None, np.zeros(0)

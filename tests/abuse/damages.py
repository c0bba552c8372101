"""Files that are damaged, in every way that somebody met: QONNX files, checkpoints, images, plans, packages, builds."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from brevitas_models.checkpoint import MAGIC
from tests.abuse.harness import damage
from tests.abuse.template import CHECKPOINT, IMAGES, ONNX

Change = Callable[[Path], object]


# QONNX files


def onnx_with(change: Callable[[ModelProto], object]) -> Change:
    """Return a damage that changes the network of the QONNX file."""

    def apply(folder: Path) -> None:
        model = onnx.load(folder / ONNX)
        change(model)
        damage(folder / ONNX, model.SerializeToString())

    return apply


def _real(model: ModelProto):
    """Return the first large real initializer."""
    tensors = [tensor for tensor in model.graph.initializer if tensor.data_type == 1]
    return max(tensors, key=lambda tensor: np.prod(tensor.dims, dtype=int))


def _poison(value: float) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        tensor = _real(model)
        values = numpy_helper.to_array(tensor).copy()
        values.flat[0] = value
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    return change


def _quantizer(kind: str, index: int, value: float) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == kind)
        model.graph.initializer.append(numpy_helper.from_array(np.float32(value), "abused"))
        node.input[index] = "abused"

    return change


def _opset(version: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        for entry in model.opset_import:
            if entry.domain in ("", "ai.onnx"):
                entry.version = version

    return change


def _no_initializer(model: ModelProto) -> None:
    tensor = _real(model)
    if tensor.name not in [info.name for info in model.graph.input]:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, 1, list(tensor.dims)))
    model.graph.initializer.remove(tensor)


def _dangling(model: ModelProto) -> None:
    tensor = _real(model)
    model.graph.initializer.remove(tensor)
    for info in [info for info in model.graph.input if info.name == tensor.name]:
        model.graph.input.remove(info)


def _short(model: ModelProto) -> None:
    tensor = _real(model)
    tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // 2]


def _input(*shape: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        old = model.graph.input[0]
        old.CopyFrom(helper.make_tensor_value_info(old.name, 1, shape))
        del model.graph.value_info[:]
        for info in model.graph.output:
            info.type.tensor_type.ClearField("shape")

    return change


def _instead_of(kind: str, other: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        node = next(node for node in model.graph.node if node.op_type == kind)
        node.op_type = other
        del node.input[1:], node.attribute[:]

    return change


def _second_output(model: ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("nowhere", 1, [1, 10]))


def _values_in(place: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        tensor = _real(model)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", place

    return change


def _computed(*shape: int) -> Callable[[ModelProto], None]:
    """Compute a tensor of a size that is not in the file."""

    def change(model: ModelProto) -> None:
        graph = model.graph
        graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), "sizes"))
        graph.node.insert(0, helper.make_node("ConstantOfShape", ["sizes"], ["huge"]))
        graph.node.append(helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0))
        graph.node.append(helper.make_node("Add", [graph.output[0].name, "most"], ["last"]))
        graph.output[0].name = "last"

    return change


def _circle(model: ModelProto) -> None:
    first, last = model.graph.node[0], model.graph.node[-1]
    first.input[0] = last.output[0]


def _twice(model: ModelProto) -> None:
    model.graph.node[-1].output[0] = model.graph.node[0].output[0]


ONNX_FILES: dict[str, tuple[Change, str]] = {  # what is wrong: (damage, what the message must say)
    "NaN weight": (onnx_with(_poison(np.nan)), "NaN or infinite"),
    "infinite weight": (onnx_with(_poison(np.inf)), "NaN or infinite"),
    "zero scale": (onnx_with(_quantizer("Quant", 1, 0.0)), "scale of Quant"),
    "negative scale": (onnx_with(_quantizer("Quant", 1, -0.5)), "scale of Quant"),
    "NaN scale": (onnx_with(_quantizer("Quant", 1, np.nan)), "NaN or infinite"),
    "zero scale of a sign": (onnx_with(_quantizer("BipolarQuant", 1, 0.0)), "scale of BipolarQuant"),
    "0 bits": (onnx_with(_quantizer("Quant", 3, 0.0)), "bits of Quant"),
    "64 bits": (onnx_with(_quantizer("Quant", 3, 64.0)), "bits of Quant"),
    "half a bit": (onnx_with(_quantizer("Quant", 3, 2.5)), "bits of Quant"),
    "opset 99": (onnx_with(_opset(99)), "opset 99"),
    "opset 1": (onnx_with(_opset(1)), "opset 1"),
    "no opset": (onnx_with(lambda model: model.ClearField("opset_import")), "opset"),
    "no outputs": (onnx_with(lambda model: model.graph.ClearField("output")), "no output"),
    "no inputs": (onnx_with(lambda model: model.graph.ClearField("input")), "no values and no writer"),
    "no nodes": (onnx_with(lambda model: model.graph.ClearField("node")), "no nodes"),
    "an initializer that is an input": (onnx_with(_no_initializer), "has no values in the file"),
    "a missing initializer": (onnx_with(_dangling), "no values and no writer"),
    "a short initializer": (onnx_with(_short), "not as many values"),
    "an output of nothing": (onnx_with(_second_output), "nothing writes its output"),
    "a huge image": (onnx_with(_input(1, 3, 20000, 20000)), "GiB|cannot be used|not one image"),
    "a huge computed tensor": (onnx_with(_computed(1 << 18, 1 << 18)), "huge of 262144x262144 needs about"),
    "values in a file above": (onnx_with(_values_in("../../../etc/passwd")), "another file|no QONNX file"),
    "values in a missing file": (onnx_with(_values_in("none.bin")), "another file"),
    "values in a device": (onnx_with(_values_in("/dev/zero")), "another file"),
    "a circle": (onnx_with(_circle), "cannot be|reads|one image"),
    "a tensor written twice": (onnx_with(_twice), "is written twice|nothing writes"),
    "a flat input": (onnx_with(_input(1, 768)), "not one image|cannot be used|cannot be inferred"),
    "an unknown node": (onnx_with(_instead_of("PRelu", "Gelu")), "Gelu"),
    "a node without hardware": (onnx_with(_instead_of("PRelu", "Hardmax")), "Hardmax"),
    "empty": (lambda folder: damage(folder / ONNX, b""), "is empty"),
    "text": (lambda folder: damage(folder / ONNX, b'{"nodes": []}'), "no QONNX file"),
    "half": (lambda folder: damage(folder / ONNX, (folder / ONNX).read_bytes()[:3000]), "no QONNX file|has no"),
    "a folder": (lambda folder: ((folder / ONNX).unlink(), (folder / ONNX).mkdir()), "is a folder"),
    "missing": (lambda folder: (folder / ONNX).unlink(), "no file"),
}


# checkpoints


def checkpoint_with(change: Callable[[dict[str, np.ndarray]], object]) -> Change:
    """Return a damage that changes arrays of the checkpoint, and makes all of its checksums right again."""

    def apply(folder: Path) -> None:
        from brevitas_models.checkpoint import _digest

        blob = (folder / CHECKPOINT).read_bytes()[len(MAGIC) + 32 :]
        with np.load(io.BytesIO(blob)) as stored:
            arrays = dict(stored)
        change(arrays)
        header = json.loads(arrays.pop("header").tobytes())
        if isinstance(header, dict):
            header["weights_sha256"] = _digest(arrays)
        container = io.BytesIO()
        np.savez(container, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
        damage(folder / CHECKPOINT, sealed(container.getvalue()))

    return apply


def sealed(container: bytes) -> bytes:
    """Return the content of a checkpoint with a right checksum."""
    return MAGIC + hashlib.sha256(container).digest() + container


def _header(change: Callable[[dict], object]) -> Change:
    def apply(arrays: dict[str, np.ndarray]) -> None:
        header = json.loads(arrays["header"].tobytes())
        header = change(header) or header
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)

    return checkpoint_with(apply)


def _nan(value: float) -> Change:
    def apply(arrays: dict[str, np.ndarray]) -> None:
        name = next(name for name, array in arrays.items() if array.dtype == np.float32 and array.size)
        arrays[name] = np.full_like(arrays[name], value)

    return checkpoint_with(apply)


def _forged(size: int) -> Change:
    """Return a checkpoint whose one array says that it has ``size`` float32."""

    def apply(folder: Path) -> None:
        container, array = io.BytesIO(), io.BytesIO()
        np.lib.format.write_array_header_1_0(array, {"descr": "<f4", "fortran_order": False, "shape": (size,)})
        with zipfile.ZipFile(container, "w") as archive:
            archive.writestr("header.npy", array.getvalue() + b"1234")
        damage(folder / CHECKPOINT, sealed(container.getvalue()))

    return apply


def _bomb(folder: Path) -> None:
    container = io.BytesIO()
    with zipfile.ZipFile(container, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", bytes(1000))
        archive.filelist[0].file_size = 1 << 31 - 0
    damage(folder / CHECKPOINT, sealed(container.getvalue()))


def _flip(at: int) -> Change:
    def apply(folder: Path) -> None:
        content = bytearray((folder / CHECKPOINT).read_bytes())
        content[at] ^= 1
        damage(folder / CHECKPOINT, bytes(content))

    return apply


CHECKPOINTS: dict[str, tuple[Change, str]] = {
    "NaN parameter": (_nan(np.nan), "NaN or infinite"),
    "infinite parameter": (_nan(np.inf), "NaN or infinite"),
    "objects": (
        checkpoint_with(lambda arrays: arrays.update(more=np.array(["a"]))),
        "values of type|is too many",
    ),
    "an array too many": (checkpoint_with(lambda arrays: arrays.update(more=np.zeros(3))), "is too many"),
    "an array of another shape": (
        checkpoint_with(
            lambda arrays: arrays.update({name: value[:1] for name, value in arrays.items() if value.ndim > 1})
        ),
        "does not hold the arrays",
    ),
    "width 400,000": (_header(lambda header: header["network"].update(width=400_000)), "no network that this version"),
    "width 512": (_header(lambda header: header["network"].update(width=512)), "GiB"),
    "another model": (_header(lambda header: header["network"].update(model="x")), "no network that this version"),
    "another format": (_header(lambda header: header.update(format=99)), "format"),
    "a list as header": (_header(lambda header: [1]), "header is no mapping"),
    "negative epochs": (_header(lambda header: header.update(epochs=-1)), "no network that this version"),
    "a false size": (_forged(1 << 40), "the file is damaged"),
    "a bomb": (_bomb, "GiB|no .popbin checkpoint"),
    "one bit of the magic": (_flip(0), "no .popbin checkpoint"),
    "one bit of the checksum": (_flip(20), "checksum differs"),
    "one bit of the content": (_flip(2000), "checksum differs"),
    "half": (lambda folder: damage(folder / CHECKPOINT, (folder / CHECKPOINT).read_bytes()[:2000]), "checksum differs"),
    "empty": (lambda folder: damage(folder / CHECKPOINT, b""), "no .popbin checkpoint"),
    "a folder": (
        lambda folder: ((folder / CHECKPOINT).unlink(), (folder / CHECKPOINT).mkdir()),
        "cannot be read|no checkpoint",
    ),
    "missing": (lambda folder: (folder / CHECKPOINT).unlink(), "no checkpoint"),
}


# images and labels


def array_of(name: str, array) -> Change:
    """Return a damage that saves another array under ``name``."""

    def apply(folder: Path) -> None:
        content = io.BytesIO()
        np.save(content, array)
        damage(folder / name, content.getvalue())

    return apply


def _npz(folder: Path) -> None:
    content = io.BytesIO()
    np.savez(content, images=np.zeros((2, 16, 16, 3), np.uint8))
    damage(folder / IMAGES, content.getvalue())


def _false_size(folder: Path) -> None:
    content = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 16, 16, 3)}
    np.lib.format.write_array_header_1_0(content, header)
    damage(folder / IMAGES, content.getvalue() + bytes(1000))


IMAGE_FILES: dict[str, tuple[Change, str]] = {
    "floats": (array_of(IMAGES, np.zeros((2, 16, 16, 3), np.float32)), "uint8"),
    "NaN": (array_of(IMAGES, np.full((2, 16, 16, 3), np.nan)), "uint8"),
    "channels first": (array_of(IMAGES, np.zeros((2, 3, 16, 16), np.uint8)), r"\[2, 3, 16, 16\]|takes|16, 16, 3"),
    "one image": (array_of(IMAGES, np.zeros((16, 16, 3), np.uint8)), r"\[16, 16, 3\]|takes|16, 16, 3"),
    "none": (array_of(IMAGES, np.zeros((0, 16, 16, 3), np.uint8)), "uint8|0|empty|damaged"),
    "a number": (array_of(IMAGES, np.uint8(3)), "uint8"),
    "objects": (array_of(IMAGES, np.array([{}, {}], object)), "objects of Python|no .npy file"),
    "an archive": (_npz, "archive"),
    "a false size": (_false_size, "damaged"),
    "half": (lambda folder: damage(folder / IMAGES, (folder / IMAGES).read_bytes()[:500]), "damaged"),
    "empty": (lambda folder: damage(folder / IMAGES, b""), "no .npy file"),
    "text": (lambda folder: damage(folder / IMAGES, b"cat.jpg\n"), "no .npy file"),
    "pickled": (lambda folder: damage(folder / IMAGES, pickle.dumps([1, 2])), "no .npy file"),
    "a folder": (lambda folder: ((folder / IMAGES).unlink(), (folder / IMAGES).mkdir()), "is a folder"),
    "missing": (lambda folder: (folder / IMAGES).unlink(), "cannot be read"),
}

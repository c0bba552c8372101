"""Makes anyone's QONNX file ready for the passes.

Networks trained elsewhere are quantized where Brevitas quantized them and real everywhere else: residual sums,
BatchNorm outputs and pools are floats. Hardware has no floats, so such tensors get a quantizer here: one fixed-point
grid of a power-of-two scale for all that are added, wide enough for their values on calibration images. How much that
changes the logits is measured.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from enum import Enum

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveUniqueNodeNames, SortGraph
from qonnx.transformation.infer_shapes import InferShapes

from flow.analysis import scaled_tensors
from flow.errors import FlowError
from flow.execute import Execution, execute_graph
from flow.graph import consumers
from flow.memory import require_memory
from flow.nodes.value_table import WIDEST as WIDEST_TABLE
from flow.normalise.grids import ExactGrids
from flow.normalise.offsets import MergeAdds, MoveOffsets
from flow.normalise.pixels import PixelGrids
from flow.normalise.tail import classes_of
from flow.passes.chain import CURVED, ELEMENTWISE, QUANTIZERS, chain_input, chain_to_quantizer, is_uniform
from flow.passes.grid import Grid, grid_of
from flow.passes.lines import BENT
from flow.passes.response import MOST_THRESHOLDS, MOST_WALKED
from flow.passes.steps import is_monotone
from flow.passes.window import before_pad, constant_value

WIDTHS = (8, 10, 12, 14, 16)  # of fixed point
ENOUGH = 0.01  # of the spread of the outputs: half of what a build may differ by, on other images too
BATCH = 32  # images that are calibrated on at once
COPIES, BYTES = 3, 4  # of each value: the results of a node, its inputs, and what computes them; float32
QUANT_DOMAIN = "qonnx.custom_op.general"
LAYERS = ("Conv", "Gemm", "MatMul")
POOLS = ("AveragePool", "GlobalAveragePool", "MaxPool")
RESHAPES = ("Flatten", "Reshape", "Identity")
WITH_PIXELS = (PixelGrids, MoveOffsets, MergeAdds, ExactGrids)


@dataclass(frozen=True)
class Approximation:
    """The effect of fixed point, on ``images`` images.

    largest_difference: of a logit. relative_difference: the same as a fraction of the spread (largest less least) of
    the logits. other_class: images whose class changed. tensors: how many got a quantizer, of ``bits`` bits.
    """

    images: int
    largest_difference: float
    relative_difference: float
    other_class: int
    tensors: int
    bits: int

    def as_dict(self) -> dict:
        """Return its fields."""
        return asdict(self)


def prepare(
    model: ModelWrapper, images: np.ndarray, low: float, high: float, bits: int | None = None
) -> tuple[ModelWrapper, Approximation]:
    """Return ``model`` with pixels as its input, standard pools, and a quantizer wherever a stream must be fixed point.

    Args:
        images: uint8 [N, H, W, C], to calibrate on and to measure with.
        low, high: values of the network's input for pixels 0 and 255.
        bits: of the fixed-point streams; without it the fewest of WIDTHS that change no class of the images, and no
            output by more than ENOUGH of the spread, or else the most.

    Raises:
        FlowError: the network's input is no image of the size of ``images``.
    """
    _require_memory(model, min(len(images), BATCH))
    model = with_pixels(model, images.shape[1:], low, high)
    for rewrite in WITH_PIXELS:
        model = model.transform(rewrite(), make_deepcopy=False, cleanup=False)
    original = execute_graph(model, images)
    for width in WIDTHS if bits is None else (bits,):
        fixed, tensors = quantize_streams(copy.deepcopy(model), images, width)
        found = _compared(model, execute_graph(fixed, images), original, tensors, width)
        if not tensors or (found.other_class == 0 and found.relative_difference <= ENOUGH):
            break
    return fixed, found


def _compared(model: ModelWrapper, quantized, original, tensors: int, bits: int) -> Approximation:
    difference = float(np.abs(quantized - original).max())
    return Approximation(
        images=len(original),
        largest_difference=difference,
        relative_difference=difference / (float(np.ptp(original)) or 1.0),
        other_class=int((classes_of(model, quantized) != classes_of(model, original)).sum()),
        tensors=tensors,
        bits=bits,
    )


def _require_memory(model: ModelWrapper, images: int) -> None:
    """Raise FlowError if all tensors of a batch, kept to be calibrated on, do not fit into memory."""
    names = {info.name for info in model.graph.input} | {name for node in model.graph.node for name in node.output}
    elements = sum(math.prod(model.get_tensor_shape(name) or [0]) for name in names)
    height, width, _ = image_shape(model)
    require_memory(
        COPIES * BYTES * images * elements,
        f"a network on images of {height}x{width}, executed on {images} of them,",
        "export it for smaller images",
    )


def sample_images(shape: tuple[int, int, int], count: int) -> np.ndarray:
    """Return the first ``count`` packaged images, uint8 [count, H, W, C], resized; of one channel grey ones.

    Inputs that are no images (a row, a signal, more than four channels) get random bytes, half of the frames 0 and 255
    only, for inputs of bits.
    """
    from brevitas_models.data import load_samples

    height, width, channels = shape
    if min(height, width) < 4 or channels > 4:
        rng = np.random.default_rng(0)
        frames = rng.integers(0, 256, (count, *shape), np.uint8)
        frames[::2] = np.where(frames[::2] > 127, np.uint8(255), np.uint8(0))
        return frames
    images = np.resize(load_samples().images, (count, 32, 32, 3)).astype(np.float32)
    rows, columns = (_resample(32, size) for size in (height, width))
    images = np.einsum("rh,nhwc->nrwc", rows, images)
    images = np.einsum("sw,nrwc->nrsc", columns, images)
    images = images.mean(axis=3, keepdims=True) if channels == 1 else images[..., np.arange(channels) % 3]
    return np.rint(np.clip(images, 0, 255)).astype(np.uint8)


def _resample(old: int, new: int) -> np.ndarray:
    """Return the matrix [new, old] of linear interpolation between pixel centres."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(0.0, 1 - np.abs(centres[:, None] - np.arange(old))).astype(np.float32)


def image_shape(model: ModelWrapper) -> tuple[int, int, int]:
    """Return (height, width, channels) of the network's input.

    Raises:
        FlowError: it has several inputs, or one that is no image.
    """
    inputs = [info.name for info in model.graph.input if model.get_initializer(info.name) is None]
    if not inputs:
        raise FlowError("the network has no input that a node reads: export it with one image as its input")
    shape = model.get_tensor_shape(inputs[0]) if len(inputs) == 1 else None
    if shape is None or len(shape) != 4 or shape[0] != 1:
        raise FlowError(
            f"the inputs {', '.join(inputs)} are not one image [1, channels, height, width]: export with such an input"
        )
    return shape[2], shape[3], shape[1]


def with_pixels(model: ModelWrapper, shape: tuple[int, int, int], low: float, high: float) -> ModelWrapper:
    """Return the network with a first node that turns pixels 0..255 into low..high.

    Raises:
        FlowError: the network's input is no image of ``shape`` (H, W, C).
    """
    if image_shape(model) != tuple(shape):
        raise FlowError(f"the network takes images of {image_shape(model)}, not {tuple(shape)}")
    old = model.graph.input[0].name
    gain, offset = (high - low) / 255.0, low
    if (gain, offset) == (1.0, 0.0):
        return model
    height, width, channels = shape
    nodes = [
        helper.make_node("Mul", ["pixels", "pixels_gain"], ["pixels_scaled"]),
        helper.make_node("Add", ["pixels_scaled", "pixels_offset"], [old]),
    ]
    model.set_initializer("pixels_gain", np.float32(gain))
    model.set_initializer("pixels_offset", np.float32(offset))
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, channels, height, width])
    )
    for index, node in enumerate(nodes):
        model.graph.node.insert(index, node)
    return model.transform(InferShapes()).transform(GiveUniqueNodeNames())


def quantize_streams(model: ModelWrapper, images: np.ndarray, bits: int) -> tuple[ModelWrapper, int]:
    """Put a quantizer on every real tensor that must be a stream; return the model, and how many there are."""
    cuts, groups = stream_tensors(model)
    if not cuts:
        return model, 0
    peaks = _largest(model, list(cuts), images)
    for tensor, cut in cuts.items():
        curve = cut is Cut.CURVE
        members = [tensor] if curve else [name for name in cuts if groups[name] == groups[tensor]]
        width = min(bits, WIDEST_TABLE) if curve else bits
        _insert_quantizer(model, tensor, _scale_for(max(peaks[name] for name in members), width), width, cut)
    model = model.transform(InferShapes()).transform(SortGraph()).transform(GiveUniqueNodeNames())
    return model, len(cuts)


class Cut(Enum):
    """The quantizers of real streams: of ``SUMS``, on the grid of all in their group; behind a ``POOL``, of which it
    keeps the grid, by flooring; around a ``CURVE``, each on its own grid of at most as many bits as a table has."""

    SUMS, POOL, CURVE = range(3)


def _scale_for(peak: float, bits: int) -> float:
    """Return the least power of two as a scale on which integers of ``bits`` bits reach ``peak``."""
    return 2.0 ** math.ceil(math.log2(max(peak, 2.0**-20) / ((1 << (bits - 1)) - 1)))


def stream_tensors(model: ModelWrapper) -> tuple[dict[str, Cut], dict[str, int]]:
    """Return the real tensors that must be fixed point, in topological order, and how; and of every tensor the number
    of its group: those that an addition, a pool or a reshape joins are on one grid.

    They are the inputs and outputs of additions of two streams and of pools, the inputs of layers with integer weights,
    the inputs of ReLUs and PReLUs after a layer, those of curves that are no few steps, and tensors that several nodes
    read.
    """
    cuts: dict[str, Cut] = {}
    groups = {name: number for number, name in enumerate(model.get_all_tensor_names())}

    def join(names: list[str]) -> None:
        joined = {groups[name] for name in names}
        groups.update({name: min(joined) for name, number in groups.items() if number in joined})

    def is_real(tensor: str) -> bool:
        return constant_value(model, tensor) is None and tensor not in cuts and grid_of(model, tensor) is None

    def source(tensor: str) -> str:
        """Return the tensor of which ``tensor`` is only another shape."""
        producer = model.find_producer(tensor)
        return source(producer.input[0]) if producer is not None and producer.op_type in RESHAPES else tensor

    def read_by_quantizer(tensor: str) -> bool:
        readers = consumers(model, tensor)
        return len(readers) == 1 and readers[0].op_type in QUANTIZERS

    def read_through_constants(tensor: str) -> bool:
        readers = consumers(model, tensor)
        return len(readers) == 1 and chain_to_quantizer(model, readers[0]) is not None

    for node in model.graph.node:
        variables = [name for name in node.input if name and constant_value(model, name) is None]
        if node.op_type in (*POOLS, *LAYERS) and variables:
            variables[0] = before_pad(model, node)  # which is one with its window
        adds = node.op_type == "Add" and len(variables) == 2
        if adds:
            one, other = (grid_of(model, name) for name in variables)
            if one is not None and other is not None:
                adds = one.scale != other.scale or any(name in cuts for name in variables)
                cuts.update({name: Cut.SUMS for name in variables if adds})
        if adds or node.op_type in POOLS or node.op_type in LAYERS:
            mixed = adds and any(is_real(name) or name in cuts for name in variables)  # all on the grid of these
            cuts.update({name: Cut.SUMS for name in map(source, variables) if mixed or is_real(name)})
        elif node.op_type in BENT and is_real(variables[0]) and _needs_lines(model, node, cuts):
            cuts[variables[0]] = Cut.SUMS
        elif node.op_type in CURVED:
            cuts.update(_around_curve(model, node, cuts, is_real))
        output = node.output[0]
        if adds or node.op_type in (*POOLS, *RESHAPES):
            join([*variables, output])
        shared = len(consumers(model, output)) > 1 and node.op_type not in QUANTIZERS
        pools = node.op_type in POOLS and not read_through_constants(output)
        if (adds or ((pools or shared) and not read_by_quantizer(output))) and is_real(output):
            cuts[output] = Cut.POOL if node.op_type in POOLS else Cut.SUMS
    cuts.pop(model.graph.output[0].name, None)
    return cuts, groups


def _needs_lines(model: ModelWrapper, bend: NodeProto, cuts: dict[str, Cut]) -> bool:
    """Return whether a bend behind a layer needs two straight lines: a Relu in front of a quantizer does not, for the
    quantizer's own end cuts the line off."""
    if not _follows_layer(model, bend.input[0], cuts):
        return False
    if _few_steps(model, [*_chain_from(model, bend.input[0], cuts), *(chain_to_quantizer(model, bend) or [])]):
        return False
    return bend.op_type != "Relu" or chain_to_quantizer(model, bend) is None


def _around_curve(model: ModelWrapper, curve: NodeProto, cuts: dict[str, Cut], is_real) -> dict[str, Cut]:
    """Return the tensors in front of and behind a curve that become fixed point, so that it is a table between them.

    None where it is part of a chain that only rises or falls into few levels: its steps are thresholds. In front of it
    stays real what a grid of few bits and numbers for all channels give; behind it what such numbers bring to a
    quantizer.
    """
    behind = chain_to_quantizer(model, curve)
    entering = _chain_from(model, curve.input[0], cuts)
    if behind is not None and _few_steps(model, [*entering, *behind]):
        return {}
    found = {}
    before = chain_input(model, [*entering, curve])
    start = None if before in cuts else grid_of(model, before)
    narrow = before in cuts or (start is not None and start.bits <= WIDEST_TABLE)
    if is_real(curve.input[0]) and not (narrow and is_uniform(model, entering)):
        found[curve.input[0]] = Cut.CURVE
    if behind is not None and not is_uniform(model, behind[1:]):
        found[curve.output[0]] = Cut.CURVE
    return found


def _few_steps(model: ModelWrapper, chain: list[NodeProto]) -> bool:
    """Return whether a chain to a quantizer has so few results that thresholds give them: half as many if it may fall
    and rise, which is found on every value that enters it."""
    grid = grid_of(model, chain[-1].output[0]) if chain and chain[-1].op_type in QUANTIZERS else None
    if grid is None:
        return False
    if is_monotone(model, chain):
        return len(grid.integers) <= MOST_THRESHOLDS + 1
    return 2 * len(grid.integers) <= MOST_THRESHOLDS + 1 and _is_walked(model, chain)


def _is_walked(model: ModelWrapper, chain: list[NodeProto]) -> bool:
    """Return whether a Response of the chain is found on every value."""
    tensor = chain_input(model, chain)
    known = scaled_tensors(model).get(tensor)
    if known is None:
        return False
    reach = max(-known.low.min(), known.high.max())
    return (2 * reach // known.stride + 1) * model.get_tensor_shape(tensor)[1] <= MOST_WALKED


def _chain_from(model: ModelWrapper, tensor: str, cuts: dict[str, Cut]) -> list[NodeProto]:
    """Return the elementwise nodes through which ``tensor`` is computed from a cut, a quantizer or a layer."""
    chain: list[NodeProto] = []
    node: NodeProto | None = model.find_producer(tensor)
    while node is not None and tensor not in cuts and node.op_type in ELEMENTWISE:
        chain.insert(0, node)
        tensor = next(name for name in node.input if name and constant_value(model, name) is None)
        node = model.find_producer(tensor)
    return chain


def _follows_layer(model: ModelWrapper, tensor: str, cuts: dict[str, Cut]) -> bool:
    """Return whether ``tensor`` is computed from a layer by elementwise nodes, without a quantizer between them."""
    node: NodeProto | None = model.find_producer(tensor)
    while node is not None and tensor not in cuts and node.op_type in ELEMENTWISE:
        tensor = next(name for name in node.input if name and constant_value(model, name) is None)
        node = model.find_producer(tensor)
    return node is not None and tensor not in cuts and node.op_type in LAYERS


def _largest(model: ModelWrapper, tensors: list[str], images: np.ndarray, count: int = BATCH) -> dict[str, float]:
    """Return the largest magnitude of each tensor on images."""
    part = images[:count].transpose(0, 3, 1, 2).astype(np.float32)
    context = Execution(model).run({model.graph.input[0].name: part}, keep=True)
    return {tensor: float(np.abs(context[tensor]).max()) for tensor in tensors}


def _insert_quantizer(model: ModelWrapper, tensor: str, scale: float, bits: int, cut: Cut) -> None:
    """Insert a quantizer between ``tensor`` and all its readers. After a pool it keeps the grid of the pool's input."""
    producer = model.find_producer(tensor)
    if cut is Cut.POOL:
        grid: Grid | None = grid_of(model, producer.input[0])
        scale, bits = (grid.scale, grid.bits) if grid is not None else (scale, bits)
    readers, quantized = consumers(model, tensor), f"{tensor}_fixed"
    names = {}
    for name, value in (("scale", scale), ("zero", 0.0), ("bits", float(bits))):
        names[name] = f"{tensor}_{name}"
        model.set_initializer(names[name], np.float32(value))
    node = helper.make_node(
        "Quant",
        [tensor, *names.values()],
        [quantized],
        domain=QUANT_DOMAIN,
        signed=1,
        narrow=0,
        rounding_mode="FLOOR" if cut is Cut.POOL else "ROUND",
    )
    for reader in readers:
        for position, name in enumerate(reader.input):
            if name == tensor:
                reader.input[position] = quantized
    index = list(model.graph.node).index(producer) + 1 if producer is not None else 0
    model.graph.node.insert(index, node)

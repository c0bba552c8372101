"""Checkpoint to QONNX."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from flow.errors import VerificationError
from flow.files import file_sha256
from flow.state import Build, Comparison, percent


def export(build: Build) -> None:
    """Export PyTorch to QONNX, compared on every logit; or make the real tensors of a QONNX file fixed point."""
    if build.options.onnx:
        _foreign(build)
    else:
        _checkpoint(build)


def _foreign(build: Build) -> None:
    from flow.execute import execute_graph
    from flow.foreign import prepare

    options = build.options
    if not options.images:
        build.log(
            "no --images: calibrated and compared on packaged images, brought to its size; give the network's own"
        )
    if "pixels" not in options.model_fields_set:
        build.log("no --pixels: the network is given pixels as 0 to 255; say so if it was trained on others")
    images = build.images(options.golden_images)
    model, approximation = prepare(build.foreign, images, *options.pixels, options.fixed_point_bits)
    build.workspace.save_graph(model, "export")
    build.workspace.save_array("export_logits", execute_graph(model, images))
    assert options.onnx is not None
    file = {"file": str(options.onnx.resolve()), "sha256": file_sha256(options.onnx), "pixels": options.pixels}
    build.report("export", {**file, "approximation": approximation.as_dict(), "images": images_of(build)})
    build.store([], "export")
    found = (
        f"{approximation.tensors} real tensors became fixed point of {approximation.bits} bits: logits differ by "
        f"{percent(approximation.relative_difference)}, another class in {approximation.other_class} of "
        f"{approximation.images} images"
    )
    build.log(found)
    if not approximation.relative_difference <= options.tolerance:
        raise VerificationError(
            f"{found}; {percent(options.tolerance)} is allowed: give --pixels and --images as the network was trained "
            "with, more --fixed-point-bits, or a larger --tolerance"
        )


def images_of(build: Build) -> str:
    """Return in words which images a foreign network was calibrated on and compared with."""
    return f"images of {build.options.images}" if build.options.images else "packaged images, brought to its size"


def _checkpoint(build: Build) -> None:
    from brevitas_models.export import export as export_network
    from flow.compile import load_export
    from flow.execute import execute_graph

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "brevitas.onnx"
        export_network(build.network, path)
        model = load_export(path)
    build.workspace.save_graph(model, "export")
    images = build.images(build.options.golden_images)
    exported = execute_graph(model, images)
    build.workspace.save_array("export_logits", exported)
    build.report("export", {"checkpoint": build.metadata.model_dump(mode="json")})
    reference = torch_logits(build.network, images)
    build.require_equal([Comparison.of("export", "pytorch", "logits", exported, reference)], "export")


def torch_logits(network, images: np.ndarray, batch: int = 64) -> np.ndarray:
    """Return logits float32 [N, classes] of images uint8 [N, H, W, 3] from PyTorch."""
    import torch

    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        return torch.cat([network.eval()(part) for part in pixels.split(batch)]).numpy()

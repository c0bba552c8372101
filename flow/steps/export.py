"""Checkpoint to QONNX."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from flow.state import Build, Comparison


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
    images = build.images(options.golden_images)
    model, approximation = prepare(build.foreign, images, *options.pixels, options.fixed_point_bits)
    build.workspace.save_graph(model, "export")
    build.workspace.save_array("export_logits", execute_graph(model, images))
    build.report("export", {"file": str(options.onnx), "approximation": approximation.as_dict()})
    build.log(
        f"{approximation.tensors} real tensors became fixed point of {approximation.bits} bits: logits differ by "
        f"at most {100 * approximation.relative_difference:.2g} % of their spread, another class in "
        f"{approximation.other_class} of {approximation.images} images"
    )
    build.store([], "export")


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

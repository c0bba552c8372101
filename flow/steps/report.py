"""Figures of the whole build."""

from __future__ import annotations

import numpy as np

from deploy.package import Package
from flow.build import Build


def report(build: Build) -> None:
    """Accuracy of the integer graph, operations beside the baseline, and summary.json."""
    from flow.report.summary import baseline_operations, binary_layers, put_together

    accuracy = integer_accuracy(build)
    baseline = None if build.options.onnx else baseline_operations(build.network[0].config, build)
    layers = binary_layers(build.graph("hardware"))
    build.report("report", {"accuracy": accuracy, "baseline_operations": baseline, "layers": layers})
    build.workspace.save_json("summary", put_together(build))


def integer_accuracy(build: Build) -> dict | None:
    """Top-1 and top-5 of the golden model on the packaged images, or on the data set that was given.

    None for a network that takes other images or has other classes.
    """
    if build.image_shape != build.samples.images.shape[1:]:
        return None
    if build.options.data:
        from brevitas_models.data import load_cifar
        from flow.sim.golden import Golden

        test = load_cifar(build.options.data, "test")
        classes, labels, source = test.classes, test.labels, test.source
        logits = Golden(build.graph("integer")).execute(test.images)
    else:
        _, labels, logits = Package.load(build.workspace.deploy).samples()
        classes, source = build.samples.classes, build.samples.source
    if logits.shape[1] != classes:
        return None
    order = np.argsort(-logits, axis=1, kind="stable")[:, :5] == labels[:, None]
    return {
        "top1": round(100 * float(order[:, 0].mean()), 2),
        "top5": round(100 * float(order.any(1).mean()), 2),
        "images": len(labels),
        "data": source,
        "backend": "golden",
    }

"""Figures of the whole build."""

from __future__ import annotations

import numpy as np

from flow.state import Build


def report(build: Build) -> None:
    """Measure the accuracy of the integer graph, and count operations beside the baseline."""
    from flow.report.operations import baseline_operations
    from flow.report.summary import binary_layers

    baseline = None if build.options.onnx else baseline_operations(build.graph("integer"))
    layers = binary_layers(build.graph("hardware"))
    what = {
        "model": build.options.model,
        "strategy": build.options.strategy,
        "voter": build.voter,
        "target": build.options.target,
        "clock_mhz": build.target.clock_mhz,
        "build_id": build.build_id(),
    }
    content = {"accuracy": integer_accuracy(build), "baseline_operations": baseline, "layers": layers}
    build.report("report", {"build": what, **content})
    build.workspace.forget_unused_tensors()


def integer_accuracy(build: Build) -> dict | None:
    """Return top-1 and top-5 of the golden model on the packaged images, or on the data set that was given.

    None for a network that takes other images or has other classes.
    """
    if not build.takes_samples:
        return None
    if build.options.data:
        from brevitas_models.data import load_cifar
        from flow.golden import Golden

        test = load_cifar(build.options.data, "test")
        classes, labels, source = test.classes, test.labels, test.source
        logits = Golden(build.graph("integer")).execute(test.images)
    else:
        chosen = build.samples.spread_indices(build.options.accuracy_images)
        labels, logits = build.samples.labels[chosen], build.golden_logits()[chosen]
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

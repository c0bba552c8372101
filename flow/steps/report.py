"""Figures of the whole build."""

from __future__ import annotations

import numpy as np

from flow.errors import FlowError
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
        "route": build.options.route,
    }
    content = {"accuracy": integer_accuracy(build), "baseline_operations": baseline, "layers": layers}
    build.report("report", {"build": what, **content})
    build.workspace.forget_unused_tensors()


def integer_accuracy(build: Build) -> dict | None:
    """Return top-1 and top-5 of the golden model on the packaged images, or on the data set that was given.

    Of a QONNX file on the images that were given with labels; None without.

    Raises:
        FlowError: a label is no class of the network.
    """
    if build.options.onnx:
        return _own_accuracy(build)
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
    return _accuracy(logits, labels, source)


def _own_accuracy(build: Build) -> dict | None:
    from deploy.scores import class_scores
    from flow.normalise.tail import score_steps

    if build.labels is None:
        return None
    logits = class_scores(build.golden_logits(), score_steps(build.graph("integer")))
    if logits.ndim > 2:
        raise FlowError(f"{build.options.labels} has a class an image, and the network gives maps: leave --labels out")
    if build.labels.max() >= logits.shape[1]:
        raise FlowError(
            f"{build.options.labels} has class {build.labels.max()}, and the network {logits.shape[1]} classes: give "
            "labels from 0 on"
        )
    return _accuracy(logits, build.labels, f"{build.options.images}, labels of {build.options.labels}")


def _accuracy(logits: np.ndarray, labels: np.ndarray, source: str) -> dict:
    order = np.argsort(-logits, axis=1, kind="stable")[:, :5] == labels[:, None]
    return {
        "top1": round(100 * float(order[:, 0].mean()), 2),
        "top5": round(100 * float(order.any(1).mean()), 2),
        "images": len(labels),
        "data": source,
        "backend": "golden",
    }

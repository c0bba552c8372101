"""Figures of the whole build."""

from __future__ import annotations

from flow.accuracy import accuracy
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

    Of a QONNX file on the images that were given with labels, beside the accuracy of the file itself and the images
    whose class is another; None without labels.

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
    return {**accuracy(logits, labels), "images": len(labels), "data": source, "backend": "golden"}


def _own_accuracy(build: Build) -> dict | None:
    from flow.accuracy import file_scores, integer_scores, side_by_side

    if build.labels is None:
        return None
    options, model = build.options, build.graph("integer")
    assert options.onnx is not None and options.labels is not None
    integers = integer_scores(model, build.golden_logits(), build.labels, options.labels)
    network = file_scores(model, options.onnx, build.every_image, options.pixels)
    found = side_by_side(network, integers, build.labels)
    source = {"images": len(build.labels), "data": f"{options.images}, labels of {options.labels}", "backend": "golden"}
    return {**found["integers"], **source, "file": found["network"], "other_class": found["other_class"]}

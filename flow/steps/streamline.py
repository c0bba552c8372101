"""QONNX to integer hardware nodes."""

from __future__ import annotations

import copy

import numpy as np

from flow.errors import VerificationError
from flow.state import Build, Comparison, percent


def streamline(build: Build) -> None:
    """Rewrite the graph to hardware nodes, executed before and after every pass; then compare golden with the
    export."""
    from flow.execute import Execution
    from flow.golden import Golden
    from flow.passes import INTEGER_PASSES, REAL_PASSES, run_pass
    from flow.passes.rewrite import APPROXIMATIONS, read_notes
    from flow.passes.set_widths import INTERVALS
    from flow.report.operations import operations

    workspace, exact = build.workspace, not build.options.onnx
    exported = build.graph("export")
    images = build.images(build.options.pass_images)
    known: dict = {}  # results of nodes, for those that a pass leaves as they are
    reference = Execution(exported, known).images(images)
    model, verified = copy.deepcopy(exported), []
    for index, rewrite in enumerate(REAL_PASSES):
        model = run_pass(model, rewrite)
        workspace.save_graph(model, f"{index:02d}_{rewrite.__name__}")
        result = Execution(model, known).images(images)
        differ = int((result != reference).sum())
        verified.append({"pass": rewrite.__name__, "images": len(images), "values": result.size, "mismatches": differ})
        _require_near(rewrite.__name__, result, reference, 0.0 if exact else build.options.tolerance)
    for rewrite in INTEGER_PASSES:
        model = run_pass(model, rewrite)
    workspace.save_graph(model.cleanup(), "integer")
    approximations = read_notes(model, APPROXIMATIONS)
    if approximations and exact:
        raise VerificationError(f"{', '.join(approximations)}: no exact integer form: please report this network")
    build.report(
        "streamline",
        {
            "passes": verified,
            "operations": operations(model),
            "layers": len(model.graph.node),
            "approximations": approximations,
            "intervals": read_notes(model, INTERVALS),
        },
    )

    workspace.save_array("golden_logits", Golden(model).execute(build.every_image))
    real = workspace.load_array("export_logits").astype(np.float64)
    logits, expected = build.golden_logits(len(real)), logit_integers(model, real)
    if exact:
        build.require_equal([Comparison.of("golden", "export", "logits", logits, expected)], "streamline")
    else:
        lines = [Comparison.near("golden", "export", "logits", logits, expected), _beside_the_file(build, model)]
        build.store(lines, "streamline")
        _require_near("golden", logits, expected, build.options.tolerance)
        _require_file(lines[1], build.options.tolerance)


def _beside_the_file(build: Build, model) -> Comparison:
    """Return how the scores of the integers compare with the outputs of the QONNX file itself."""
    from deploy.scores import scores
    from flow.normalise.tail import score_steps
    from flow.reference import file_outputs, is_discrete

    options = build.options
    images = build.images(options.golden_images)
    assert options.onnx is not None
    expected, steps = file_outputs(options.onnx, images, *options.pixels), score_steps(model)
    found = scores(build.golden_logits(len(images)), steps).reshape(expected.shape)
    if is_discrete(steps):
        return Comparison.of("golden", "file", "outputs", found.astype(np.float32), expected.astype(np.float32))
    return Comparison.near("golden", "file", "scores", found, expected)


def _require_file(line: Comparison, tolerance: float) -> None:
    """Raise VerificationError if the integers answer otherwise than the file: by more than ``tolerance`` of the spread,
    or, where the outputs are indices or levels, in more than that part of them."""
    off = line.mismatches / line.values if line.deviation is None else line.deviation
    if not off <= tolerance:
        way = "give --pixels and --images as the network was trained with, or a larger --tolerance"
        raise VerificationError(f"{line}; {percent(tolerance)} is allowed: {way}")


def _require_near(what: str, result: np.ndarray, reference: np.ndarray, tolerance: float) -> None:
    """Raise VerificationError if logits differ by more than ``tolerance``, a part of their spread.

    A step of 1 in a stream, where scales are no powers of two, moves logits a little; a wrong pass moves them a lot.
    """
    difference = np.abs(result - reference)
    differ = int((difference > 0).sum())
    share = float(difference.max() / (np.ptp(reference) or 1.0))
    if differ and not share <= tolerance:
        allowed = f", and {percent(tolerance)} is allowed (--tolerance)" if tolerance else ""
        raise VerificationError(
            f"{what} changed {differ} of {result.size} logits, by {percent(share)}{allowed}: please report this network"
        )


def logit_integers(model, real: np.ndarray) -> np.ndarray:
    """Return real logits float64 [N, classes] in units of the integer ones."""
    from flow.passes.integer import logit_affine

    scale, offset = logit_affine(model)
    integers = (real - np.asarray(offset)) / scale
    return np.rint(integers) if np.any(offset) else integers

"""QONNX to integer hardware nodes."""

from __future__ import annotations

import copy

import numpy as np

from flow.build import Build, Comparison
from flow.errors import VerificationError

FOREIGN_TOLERANCE = 0.05


def streamline(build: Build) -> None:
    """Passes to hardware nodes, each executed before and after; then golden against the export."""
    from flow.execute import execute_graph
    from flow.passes import INTEGER_PASSES, REAL_PASSES, run_pass
    from flow.passes.rewrite import APPROXIMATIONS, read_notes
    from flow.passes.set_widths import INTERVALS
    from flow.sim.golden import Golden

    exported = build.graph("export")
    images = build.images(build.options.pass_images)
    model, reference, verified = copy.deepcopy(exported), execute_graph(exported, images), []
    for index, rewrite in enumerate(REAL_PASSES):
        model = run_pass(model, rewrite)
        build.workspace.save_graph(model, f"{index:02d}_{rewrite.__name__}")
        result = execute_graph(model, images)
        differ = int((result != reference).sum())
        verified.append({"pass": rewrite.__name__, "images": len(images), "values": result.size, "mismatches": differ})
        _require_near(rewrite.__name__, result, reference, exact=not build.options.onnx)
    for rewrite in INTEGER_PASSES:
        model = run_pass(model, rewrite)
    build.workspace.save_graph(model.cleanup(), "integer")
    approximations = read_notes(model, APPROXIMATIONS)
    if approximations and not build.options.onnx:
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

    images = build.images(build.options.golden_images)
    logits = Golden(model).execute(images)
    real = execute_graph(exported, images).astype(np.float64)
    differ = int((logits != logit_integers(model, real)).sum())
    compare = build.store if build.options.onnx else build.require_equal
    compare([Comparison("golden", "export", "logits", len(images), logits.size, differ)], "streamline")
    _require_near("golden", logits, logit_integers(model, real), exact=not build.options.onnx)


def _require_near(what: str, result: np.ndarray, reference: np.ndarray, exact: bool) -> None:
    """Stops at logits that differ; those of a foreign file may, by FOREIGN_TOLERANCE of their spread.

    A step of 1 in a stream, where scales are no powers of two, moves logits a little; a wrong pass moves them a lot.
    """
    difference = np.abs(result - reference)
    differ = int((difference > 0).sum())
    share = float(difference.max() / (np.ptp(reference) or 1.0))
    if differ and (exact or share > FOREIGN_TOLERANCE):
        raise VerificationError(
            f"{what} changed {differ} of {result.size} logits, by up to {100 * share:.2g} % of their spread: please report this network"
        )


def logit_integers(model, real: np.ndarray) -> np.ndarray:
    """Real logits float64 [N, classes] in units of the integer ones."""
    scale, offset = (
        float(model.get_metadata_prop(name) or start) for name, start in (("logit_scale", 1), ("logit_offset", 0))
    )
    integers = (real - offset) / scale
    return np.rint(integers) if offset else integers


def operations(model) -> dict[str, int]:
    """Arithmetic a frame, counted from the nodes: ``stem_rescale`` is the rescale of the first convolution."""
    from flow.graph import hardware_nodes

    counts = {"binary_mac": 0, "int8_mac": 0, "popcount_mul": 0, "stem_rescale": 0}
    stem = True
    for node in hardware_nodes(model):
        for kind, count in node.op.operations().items():
            counts[kind] += count
        if node.kind == "IntConv" and stem:
            out = node.op.outputs()[0]
            counts["stem_rescale"] += out.height * out.width * out.channels
            stem = False
    return counts

"""The package of the driver, which runs on a board and in simulation."""

from __future__ import annotations

import numpy as np

from flow.state import Build

from .vivado import scripts_folder


def package(build: Build) -> None:
    """Write the package of the driver (settings, weights, samples with their golden logits, simulator), and deploy.zip
    for the board."""
    from brevitas_models.data import CLASSES, spread_indices
    from deploy.package import UNKNOWN
    from flow.emit.package import write_package, write_zip
    from flow.emit.vivado import results
    from flow.normalise.tail import score_steps
    from flow.project import read_manifest
    from flow.sim.rtl import RtlAccelerator

    options, integer = build.options, build.graph("integer")
    description = {
        "model": options.model,
        "strategy": options.strategy,
        "voter": build.voter,
        "target": options.target,
        "logit_scale": float(integer.get_metadata_prop("logit_scale") or 1),
        "tail": score_steps(integer) if options.onnx else [],
    }
    golden = build.golden_logits()
    chosen = spread_indices(len(golden), options.accuracy_images)
    known = build.labels if build.labels is not None else np.full(len(golden), UNKNOWN)
    samples = build.every_image[chosen], known[chosen], golden[chosen]
    labels = CLASSES if not options.onnx and golden.shape[1] == len(CLASSES) else []
    bitfile = results(scripts_folder(build.workspace, "rtl"), read_manifest(build.workspace.rtl)["build_id"])
    with build.workspace.fresh(build.workspace.deploy) as folder:
        library = RtlAccelerator(build.workspace.rtl).library
        write_package(
            build.workspace.rtl, library, folder, {**description, "labels": labels}, samples, integer, bitfile
        )
    write_zip(build.workspace.deploy, build.workspace.folder / "deploy.zip")

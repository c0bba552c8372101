"""Vitis HLS project and its C simulation."""

from __future__ import annotations

from flow.state import Build

from .compare import compare_backend

TESTBENCH_IMAGES = 2


def hls(build: Build) -> None:
    """Write the HLS C++ project: kernels, generated top, tables, testbench and Tcl."""
    from flow.emit.hls import emit_hls
    from flow.plan.hls_cost import hls_estimate

    with build.workspace.fresh(build.workspace.hls) as folder:
        emit_hls(
            build.graph("hardware"),
            folder,
            build_id=build.build_id(),
            part=build.target.part,
            clock_mhz=build.target.clock_mhz,
            images=build.images(TESTBENCH_IMAGES),
            expected=build.golden_logits(TESTBENCH_IMAGES),
        )

    build.report("hls", hls_estimate(build.graph("hardware"), build.target).as_dict())


def csim(build: Build) -> None:
    """Simulate the HLS project in C, compiled by g++, on real images."""
    from flow.sim.csim import CsimAccelerator

    accelerator = CsimAccelerator(build.workspace.hls)
    options = build.options
    bounded = not options.csim_unbounded
    result = accelerator.execute(build.images(options.csim_images), record=options.stream_images, unbounded=not bounded)
    build.report("csim", {"frames_per_second": round(result.frames_per_second, 2), "bounded_streams": bounded})
    compare_backend(build, "csim", result, options.csim_images)

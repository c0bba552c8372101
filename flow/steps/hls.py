"""Vitis HLS project and its C simulation."""

from __future__ import annotations

from flow.build import Build

from .compare import compare_backend


def hls(build: Build) -> None:
    """HLS C++: kernels, generated top, tables, testbench and Tcl."""
    from flow.emit.hls import emit_hls
    from flow.sim.golden import Golden

    model, images = build.graph("hardware"), build.images(2)
    with build.workspace.fresh(build.workspace.hls) as folder:
        emit_hls(
            model,
            folder,
            build_id=build.build_id(),
            part=build.target.part,
            clock_mhz=build.target.clock_mhz,
            images=images,
            expected=Golden(model).execute(images),
        )


def csim(build: Build) -> None:
    """C simulation of the HLS project, compiled by g++, on real images."""
    from flow.sim.csim import CsimAccelerator

    accelerator = CsimAccelerator(build.workspace.hls)
    options = build.options
    result = accelerator.execute(build.images(options.csim_images), taps=options.layer_images)
    build.report("csim", {"frames_per_second": round(result.frames_per_second, 2)})
    compare_backend(build, "csim", result, options.csim_images)

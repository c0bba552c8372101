"""RTL project and its simulation by Verilator."""

from __future__ import annotations

from flow.state import Build

from .compare import compare_backend


def rtl(build: Build) -> None:
    """Write the SystemVerilog project: modules, generated top, memory files and the DDR image."""
    from flow.emit.rtl import emit_rtl

    with build.workspace.fresh(build.workspace.rtl) as folder:
        emit_rtl(build.graph("hardware"), folder, build_id=build.build_id(), clock_mhz=build.target.clock_mhz)


def simulate(build: Build) -> None:
    """Simulate the whole accelerator in Verilator: logits, every stream, cycles and latency."""
    from flow.sim.rtl import RtlAccelerator

    accelerator = RtlAccelerator(build.workspace.rtl)
    options = build.options
    result = accelerator.execute(build.images(options.rtl_images), record=options.stream_images)
    latency = result.first_latency_cycles  # in a full pipeline a frame also waits for those before it
    if latency is None:
        latency = accelerator.execute(build.images(1)).latency_cycles
    clock = build.target.clock_mhz * 1e6
    simulated = {
        "frames": result.frames,
        "cycles_per_frame": result.cycles_per_frame,
        "latency_cycles": latency,
        "fps": round(clock / result.cycles_per_frame, 2),
    }
    build.report(
        "simulate", {"simulated": simulated, "total_cycles": result.total_cycles, "ddr_bytes": result.ddr_bytes}
    )
    compare_backend(build, "rtl", result, options.rtl_images, step="simulate")

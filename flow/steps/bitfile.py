"""The bitfile, by the tools of the vendor."""

from __future__ import annotations

from flow.errors import FlowError
from flow.state import Build

from .vivado import project_folder, scripts_folder


def bitfile(build: Build) -> None:
    """Make the bitfile by Vivado, with its reports of resources, timing and power."""
    from flow.emit.vivado import read_reports, unsupported
    from flow.vendor import VIVADO, hls_command, run_tool

    workspace, route = build.workspace, build.options.bitfile
    if reason := unsupported(build.target):
        raise FlowError(reason)
    folder, logs = scripts_folder(workspace, route), workspace.folder / "logs"
    if not (folder / "build.tcl").is_file():
        raise FlowError(f"{folder / 'build.tcl'} is missing: build without --from-step first")
    (workspace.reports / "bitfile.json").unlink(missing_ok=True)
    if route == "hls":
        run_tool(hls_command(), project_folder(workspace, route), logs / "vitis_hls.log", build.log)
    run_tool(VIVADO, folder, logs / "vivado.log", build.log)
    figures = read_reports(folder)
    slack = figures["worst_negative_slack_ns"]
    build.report("bitfile", {"route": route, **figures, "timing_met": slack >= 0})
    build.log(f"written: {folder / 'result'}")
    if slack < 0:
        build.log(
            f"TIMING IS NOT MET: the worst slack is {slack:g} ns at {build.target.clock_mhz:g} MHz, so the "
            f"accelerator may compute wrongly; see {folder / 'reports' / 'timing.rpt'}, and build "
            "with a lower --clock"
        )
    if route == "hls":
        build.log("the driver does not run this bitfile: the HLS accelerator has neither build id nor counters")

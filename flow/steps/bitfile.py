"""The bitfile, by the tools of the vendor."""

from __future__ import annotations

from flow.errors import FlowError
from flow.state import Build

from .vivado import project_folder, scripts_folder

REMARKS_SHOWN = 20


def bitfile(build: Build) -> None:
    """Make the bitfile by Vivado, with its reports of resources, timing and power."""
    from flow.emit.vivado import read_reports, unsupported
    from flow.report.hls import read_hls_report
    from flow.vendor import VIVADO, run_tool

    workspace, route = build.workspace, build.options.route
    if reason := unsupported(build.target):
        raise FlowError(reason)
    folder, logs = scripts_folder(workspace, route), workspace.folder / "logs"
    if not (folder / "build.tcl").is_file():
        raise FlowError(f"{folder / 'build.tcl'} is missing: build without --from-step first")
    (workspace.reports / "bitfile.json").unlink(missing_ok=True)
    if route == "hls":
        _make_hls_ip(build)
    run_tool(VIVADO, folder, logs / "vivado.log", build.log)
    figures = read_reports(folder)
    slack = figures["worst_negative_slack_ns"]
    hls = {"hls": read_hls_report(project_folder(workspace, route)).as_dict()} if route == "hls" else {}
    build.report("bitfile", {"route": route, **figures, "timing_met": slack >= 0, **hls})
    build.log(f"written: {folder / 'result'}")
    if slack < 0:
        build.log(
            f"TIMING IS NOT MET: the worst slack is {slack:g} ns at {build.target.clock_mhz:g} MHz, so the "
            f"accelerator may compute wrongly; see {folder / 'reports' / 'timing.rpt'}, and build "
            "with a lower --clock"
        )
    if route == "hls":
        build.log("the driver does not run this bitfile: the HLS accelerator has neither build id nor counters")


def _make_hls_ip(build: Build) -> None:
    """Make the IP by Vitis HLS.

    Raises:
        FlowError: Vitis HLS failed, or what it made is not what was meant.
    """
    from flow.report.hls import read_hls_report, require_good
    from flow.vendor import hls_command, run_tool

    project = project_folder(build.workspace, "hls")
    run_tool(hls_command(), project, build.workspace.folder / "logs" / "vitis_hls.log", build.log)
    report = read_hls_report(project)
    require_good(report, project)
    planned = build.workspace.load_json("plan")["plan"]["cycles_per_frame"]
    remarks = report.remarks(planned)
    for remark in remarks[:REMARKS_SHOWN]:
        build.log(f"Vitis HLS: {remark}")
    if len(remarks) > REMARKS_SHOWN:
        build.log(f"Vitis HLS: {len(remarks) - REMARKS_SHOWN} more such remarks, see its reports in {project}")

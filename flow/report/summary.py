"""summary.json and the console summary, put together from what the steps reported."""

from __future__ import annotations

from collections.abc import Callable

from qonnx.core.modelwrapper import ModelWrapper
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flow.errors import FlowError
from flow.graph import hardware_nodes
from flow.report.console import amounts, figures, print_table
from flow.report.synthesis import synthesis
from flow.state import percent
from flow.synth.delays import LEVEL_NS
from flow.workspace import Workspace

RESOURCES = ("lut", "ff", "bram36", "dsp")


def binary_layers(model: ModelWrapper) -> list[dict]:
    """Return a row for each binary layer, as the papers' tables have it: XNOR and popcount units, operations,
    cycles."""
    rows = []
    for node in hardware_nodes(model):
        op, counts = node.op, node.op.operations()
        if "binary_mac" not in counts:
            continue
        out = op.outputs()[0]
        rows.append(
            {
                "layer": node.name,
                "inputs": op.synapses,
                "outputs": out.channels,
                "height": out.height,
                "width": out.width,
                "binary_mac": counts["binary_mac"],
                "popcount_mul": counts.get("popcount_mul", 0),
                "xnor_units": op.pe * op.simd,
                "popcount_units": op.pe,
                "memory": "ddr" if op.ddr_words else op.memory,
                "cycles": op.cycles(),
            }
        )
    return rows


def implementation(workspace: Workspace) -> dict | None:
    """Return Vivado's figures of the accelerator: route, resources, slack, power, tool, timing_met; None where it did
    not run."""
    return workspace.load_json("bitfile") if (workspace.reports / "bitfile.json").exists() else None


def put_together(workspace: Workspace) -> dict:
    """Return the content of summary.json, from the reports of all steps; it is put together whenever it is shown.

    Raises:
        FlowError: a step was not finished, or its report is not what it wrote.
    """
    try:
        return _put_together(workspace)
    except (KeyError, TypeError, AttributeError) as error:
        raise FlowError(
            f"a report in {workspace.reports} has another form than this version of flow gives it "
            f"({type(error).__name__}: {error}): build again with --fresh"
        ) from error


def _put_together(workspace: Workspace) -> dict:
    load = workspace.load_json
    final, streamlined, planned, simulated = load("report"), load("streamline"), load("plan"), load("simulate")
    exported = load("export")
    stages = (exported, streamlined, load("csim"), simulated)
    synthesised, left_out = _optional(synthesis, workspace)
    return {
        **final["build"],
        "accuracy": final["accuracy"],
        "foreign": exported.get("approximation"),
        "images": exported.get("images", "packaged samples"),
        "approximations": streamlined.get("approximations", {}),
        "operations": streamlined["operations"],
        "baseline_operations": final["baseline_operations"],
        "layers": final["layers"],
        "plan": planned["plan"],
        "hls": load("hls"),
        "csim": {"bounded_streams": load("csim")["bounded_streams"]},
        "simulated": simulated["simulated"],
        "synthesis": synthesised,
        "left_out": left_out,
        "implementation": implementation(workspace),
        "verification": [line for stage in stages for line in stage["verification"]],
        "seconds": {name: entry.seconds for name, entry in workspace.record.finished().items()},
    }


def _optional(report: Callable[[Workspace], dict | None], workspace: Workspace) -> tuple[dict | None, list[str]]:
    """Return what a report says that no build needs, and why it is left out if it cannot be read."""
    try:
        return report(workspace), []
    except FlowError as error:
        return None, [str(error)]


def _fits(fits: bool) -> str:
    return "fits" if fits else "DOES NOT FIT"


def _hls_route(summary: dict) -> str:
    """Return what is known of the HLS accelerator: by Vitis HLS where it made one, else its block RAM."""
    if made := (summary["implementation"] or {}).get("hls"):
        used = ", ".join(f"{count:,} of {made['available'][kind]:,} {kind}" for kind, count in made["used"].items())
        rate = f"{made['frame_interval_cycles']:,}" if made["frame_interval_cycles"] else "an unknown number of"
        return (
            f"{made['tool']}, estimates of csynth: {used}; {made['estimated_ns']:g} ns of {made['target_ns']:g}; "
            f"{rate} cycles a frame, II at most {made['largest_ii']}; cosimulation: {made['cosimulation'] or 'none'}"
        )
    hls = summary["hls"]
    return (
        f"{hls['bram36']:g} of {hls['usable_bram36']:g} BRAM36, by the memories that pragmas bind to them: "
        f"{_fits(hls['fits'])}; {hls['unknown']}"
    )


def show(summary: dict, console: Console) -> None:
    """Print the summary."""
    plan, simulated, accuracy = summary["plan"], summary["simulated"], summary["accuracy"]
    console.print(
        Text.assemble(
            "\n",
            (f"{summary['model']} {summary['strategy']}", "bold"),
            f" on {summary['target']} at {summary['clock_mhz']:g} MHz, voter {summary['voter']}, build "
            f"{summary['build_id'][:8]}",
        )
    )
    if accuracy:
        console.print(
            f"accuracy   top-1 {accuracy['top1']:.2f} %, top-5 {accuracy['top5']:.2f} % of {accuracy['images']} images "
            f"({accuracy['data']}; {accuracy['backend']} integers)"
        )
    if accuracy and "file" in accuracy:
        console.print(
            f"the file   top-1 {accuracy['file']['top1']:.2f} %, top-5 {accuracy['file']['top5']:.2f} % of the same; "
            f"another class in {len(accuracy['other_class'])}"
        )
    baseline = summary["baseline_operations"]
    networks = [summary["strategy"], *["popcount baseline"] * bool(baseline)]
    table = Table("operations a frame", *figures(networks, "left"), box=None)
    for kind, count in summary["operations"].items():
        if count or (baseline and baseline[kind]):
            table.add_row(kind, f"{count:,}", *([f"{baseline[kind]:,}"] if baseline else []))
    print_table(console, table)
    used = amounts(plan["resources"])
    path = f"longest path {plan['path_ns']:g} ns, slack {plan['slack_ns']:g}; " if plan["path_ns"] else ""
    console.print(
        f"plan       {plan['fps']:g} fps, {plan['cycles_per_frame']:,} cycles a frame; estimate: {used}; "
        f"DDR {plan['ddr_gb_per_s']:g} GB/s; {path}{_fits(plan['fits'])}"
    )
    if summary.get("route") == "hls":
        console.print(f"route hls  {_hls_route(summary)}")
    console.print(
        f"simulated  {simulated['fps']:g} fps, {simulated['cycles_per_frame']:,} cycles a frame, latency "
        f"{simulated['latency_cycles']:,} cycles (RTL counters, {simulated['frames']} frames)"
    )
    if not summary["csim"]["bounded_streams"]:
        console.print(
            "csim       with streams of any depth (--csim-unbounded): nothing shows whether the HLS accelerator would "
            "hang"
        )
    if made := summary.get("synthesis"):
        timing = made["timing"]
        other = "the RTL, which --bitfile does not take by route hls: " * (summary.get("route") == "hls")
        used = amounts({kind: made["total"][kind] for kind in RESOURCES})
        level = f" ({timing['level_ns']:g} ns a LUT with its route)" * (timing["level_ns"] != LEVEL_NS)
        console.print(
            f"netlist    {other}{made['origin']}, with the platform's share: {used} ({made['share']['lut']:.0%} of the "
            f"LUTs); {timing['origin']}{level}: worst path {timing['worst_ns']:g} ns, slack {timing['slack_ns']:g} ns, "
            f"at most {timing['fmax_mhz']:g} MHz"
        )
    for reason in summary.get("left_out", ()):
        console.print(Text.assemble(("left out", "yellow"), f"   {reason}"))
    if made := summary["implementation"]:
        used = amounts({kind: made[kind] for kind in RESOURCES})
        timing = "timing met" if made["timing_met"] else "TIMING NOT MET"
        console.print(
            f"bitfile    route {made['route']}, {made['tool']}, with DMA and interconnect: {used}; worst slack "
            f"{made['worst_negative_slack_ns']:g} ns: {timing}; {made['power_w']:g} W estimated"
        )
    if foreign := summary["foreign"]:
        console.print(
            f"the file   {foreign['tensors']} real tensors became fixed point of {foreign['bits']} bits: logits "
            f"differ by {percent(foreign['relative_difference'])}, another class in {foreign['other_class']} of "
            f"{foreign['images']} images ({summary['images']})"
        )
    table = Table("stage", "against", "what", *figures(("images", "values", "mismatches"), "left"), box=None)
    for line in summary["verification"]:
        equal = "deviation" not in line
        result = f"{line['mismatches']:,}" if equal else f"not exact: {percent(line['deviation'])}"
        table.add_row(
            line["stage"], line["against"], line["what"], f"{line['images']:,}", f"{line['values']:,}", result
        )
    print_table(console, table)
    console.print("seconds    " + ", ".join(f"{step} {value:g}" for step, value in summary["seconds"].items()))

"""The table of FINN beside this flow, in Markdown, from the stored figures."""

from __future__ import annotations

import re

EQUAL = 1e-5  # of the spread: what float32 rounds
LONGEST = 110  # characters of an error in the table
GROUPS = {
    "cases": "Files of other people",
    "bnn_pynq": "Brevitas' bnn_pynq, random weights",
    "bundled": "Networks of this flow, as its exporter writes them",
}
RESULT = ("its output", "CPU s", "LUT", "BRAM18", "cycles")
HEADER = ("file", "FINN", *RESULT, "this flow", *RESULT)


def markdown(figures: dict) -> str:
    """Return the tables of all groups, after the versions and the sums."""
    lines = [*head(figures), ""]
    for group, title in GROUPS.items():
        rows = [row for row in figures["rows"] if row["group"] == group]
        if rows:
            lines += [f"### {title}", "", line(HEADER), line(["---"] * len(HEADER)), *map(table_row, rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def head(figures: dict) -> list[str]:
    """Return the versions, the limits and how many files each converts and with which outputs."""
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"]["finn"].items())
    limits, rows = figures["limits"], figures["rows"]
    lines = [
        f"{versions}; this flow at {figures['versions']['flow']}. {len(rows)} of {figures['files']} files were run, "
        f"each in a process of one thread, {limits['seconds']} s of a processor and {limits['gigabytes']} GiB at most.",
        "",
        line(["", "FINN", "this flow"]),
        line(["---"] * 3),
    ]
    for what, holds in SUMS.items():
        lines.append(line([what, *(str(sum(holds(row[tool]) for row in rows)) for tool in ("finn", "flow"))]))
    return lines


def is_done(result: dict) -> bool:
    """Return whether a tool came to its estimate."""
    return result["state"] == "done"


def is_equal(result: dict) -> bool:
    """Return whether the outputs are the file's."""
    return result.get("outputs", {}).get("difference", None) is not None and result["outputs"]["difference"] <= EQUAL


def is_near(result: dict) -> bool:
    """Return whether the outputs differ by 2 % of their spread at most, and no class is another one."""
    outputs = result.get("outputs", {})
    return outputs.get("difference") is not None and outputs["difference"] <= 0.02 and not outputs["other"]


SUMS = {
    "converted to the end": is_done,
    "and the outputs are equal (to 1e-5 of their spread)": lambda result: is_done(result) and is_equal(result),
    "or differ by 2 % at most, with no other class": lambda result: (
        is_done(result) and is_near(result) and not is_equal(result)
    ),
    "or differ by more, or could not be executed": lambda result: is_done(result) and not is_near(result),
    "stopped with an error": lambda result: result["state"] == "stopped",
    "not done within the limits": lambda result: result["state"] in ("limit", "crashed"),
}


def line(cells) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"


def table_row(row: dict) -> str:
    """Return the line of a file."""
    return line([row["name"], *cells(row["finn"], row["count"]), *cells(row["flow"], row["count"])])


def cells(result: dict, count: int) -> list[str]:
    """Return what became of a file, its outputs, seconds and estimate."""
    estimate = result.get("estimate", {})
    figures = [f"{estimate[key]:,.0f}" if key in estimate else "" for key in ("lut", "bram18", "cycles")]
    return [outcome(result), outputs(result, count), f"{result['seconds']:.1f}", *figures]


def outcome(result: dict) -> str:
    """Return in words how far a tool came."""
    if result["state"] == "limit":
        return f"not done in time: {result['step']}"
    if result["state"] == "crashed":
        return f"crashed in {result['step']}"
    if result["state"] == "stopped":
        return f"stops at {result['step']}: {shortened(result['error'])}"
    if "nodes" not in result:
        return "converted"
    nodes = result["nodes"]
    outside, total = len(nodes["outside"]), len(nodes["outside"]) + nodes["inside"]
    kinds, floats = sorted(set(nodes["outside"])), f", {nodes['floats']} of them on floats" if nodes["floats"] else ""
    if not outside:
        return f"converted{floats and f': {total} nodes{floats}'}"
    if kinds == ["Transpose"]:
        return f"converted: {nodes['inside']} of {total} nodes{floats} (a Transpose stays on the CPU)"
    parts = f"{nodes['inside']} of {total} nodes are hardware{floats} (not {', '.join(kinds)})"
    return f"mixed CPU and dataflow parts: {parts}"


def shortened(error: str) -> str:
    """Return an error on one line without what Markdown or a path would spoil."""
    text = re.sub(r"(/[\w.\-]+){2,}/", "", " ".join(error.split())).replace("|", "/")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3].rstrip()}..."


def outputs(result: dict, count: int) -> str:
    """Return in words how the outputs compare with the file's own."""
    if "outputs" not in result:
        return "not executed" if is_done(result) else ""
    found = result["outputs"]
    if "elements" in found:
        said = f"{found['elements']} numbers, the file gives {found['expected']}"
    elif found["difference"] is None:
        said = "NaN"
    elif found["difference"] <= EQUAL:
        said = "equal"
    else:
        said = f"{100 * found['difference']:.2g} % off"
    if found.get("other"):
        said += f", another class in {found['other']} of {count}"
    return said if is_done(result) else f"{said} after {result['executed']}"

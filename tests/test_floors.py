"""Imports point down: the floors of the packages, and no circle, be an import at the top or in a function."""

import ast
import sys
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("brevitas_models", "deploy", "flow")
FLOORS = (  # a unit imports those below it; none beside it
    ("brevitas_models", "flow.errors", "flow.nodes"),
    ("flow.files", "flow.memory"),
    ("flow.record",),
    (
        "deploy",
        "flow.custom_op",
        "flow.library",
        "flow.options",
        "flow.project",
        "flow.vendor",
        "flow.workspace",
    ),
    ("flow.graph", "flow.images", "flow.pointwise"),
    ("flow.execute", "flow.golden"),
    ("flow.analysis", "flow.onnx_file"),
    ("flow.passes",),
    ("flow.normalise", "flow.plan"),
    ("flow.compile",),
    ("flow.foreign", "flow.reference"),
    ("flow.accuracy", "flow.inspection"),
    ("flow.emit", "flow.sim"),
    ("flow.synth",),
    ("flow.state",),
    ("flow.diff", "flow.report"),
    ("flow.steps",),
    ("flow.resume",),
    ("flow.run",),
    ("flow.api",),
    ("flow.cli",),
)
FLOOR = {unit: index for index, floor in enumerate(FLOORS) for unit in floor}
ENTRANCE = "flow"  # its __init__ hands names on when they are asked for, and imports nothing


def modules(root):
    """Every module by its dotted name, a package by that of its folder."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name, path, known):
    """Yield the modules that the file ``path`` imports, wherever it does."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            wanted = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
        else:
            continue
        if name == ENTRANCE:  # for type checkers only
            continue
        yield from (module for module in wanted if module in known and module != name)


def graph_of(root):
    known = modules(root)
    graph = nx.DiGraph()
    graph.add_nodes_from(known)
    graph.add_edges_from((name, other) for name, path in known.items() for other in imports(name, path, known))
    return graph


def unit_of(module):
    """The unit on a floor that a module is part of."""
    return max((unit for unit in FLOOR if module == unit or module.startswith(f"{unit}.")), key=len, default=module)


def circles(graph):
    return [sorted(circle) for circle in nx.strongly_connected_components(graph) if len(circle) > 1]


def upward(graph):
    """Imports that do not point down."""
    pairs = ((unit_of(name), unit_of(other), name, other) for name, other in graph.edges)
    return [
        f"{name} imports {other}"
        for unit, below, name, other in pairs
        if unit != below and ENTRANCE not in (unit, below) and FLOOR[unit] <= FLOOR[below]
    ]


@pytest.fixture(scope="module")
def graph():
    return graph_of(ROOT)


def test_every_module_has_a_floor(graph):
    assert [name for name in graph if unit_of(name) not in FLOOR and name != ENTRANCE] == []


def test_no_circles(graph):
    assert circles(graph) == []


def test_imports_point_down(graph):
    assert upward(graph) == []


def test_the_board_takes_nothing_of_the_flow_but_the_nodes(graph):
    taken = {other for name, other in graph.edges if unit_of(name) == "deploy" and other.split(".")[0] == "flow"}
    assert all(unit_of(other) == "flow.nodes" or other == "flow" for other in taken), taken


def test_the_nodes_need_numpy_only():
    for path in sorted((ROOT / "flow" / "nodes").glob("*.py")):
        names = [
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        ]
        nodes = ast.walk(ast.parse(path.read_text()))
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
        others = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"numpy"}
        assert not others, f"{path.name} imports {sorted(others)}"


def test_a_new_circle_is_found(tmp_path):
    """The check itself: one import upward, in a function, closes a circle and breaks the floors."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text())
    path = tmp_path / "flow" / "state.py"
    path.write_text(path.read_text() + "\n\ndef late():\n    from flow.steps import STEPS\n\n    return STEPS\n")
    graph = graph_of(tmp_path)
    assert any({"flow.state", "flow.steps"} <= set(circle) for circle in circles(graph))
    assert "flow.state imports flow.steps" in upward(graph)

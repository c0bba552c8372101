"""Every node has its test file, and what flow/nodes/base.py says of nodes holds for all of them."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from flow import nodes
from flow.library import headers, modules
from flow.nodes import Cell, HardwareOp, NodeError
from flow.nodes.base import STAGES
from tests.nodes.harness import NodeTests, hardware_op

HERE = Path(__file__).parent


def cases_of(kind: type[HardwareOp]) -> list:
    """Return the cases of a node's test file, of that kind."""
    module = import_module(f"tests.nodes.test_{kind.stem()}")
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, NodeTests)]
    return [case for tests in classes for case in tests.cases if isinstance(case.op, kind)]


@pytest.mark.parametrize("kind", nodes.kinds().values(), ids=lambda kind: kind.__name__)
def test_has_its_cases_in_a_file_of_its_name(kind):
    assert (HERE / f"test_{kind.stem()}.py").is_file()
    cases = cases_of(kind)
    assert len(cases) >= 2
    assert any(case.rtl is True for case in cases), "no case is built in RTL by the quick tests"
    assert any(case.hls for case in cases) or hardware_op(kind, **cases[0].attributes).is_wire


@pytest.mark.parametrize("kind", nodes.kinds().values(), ids=lambda kind: kind.__name__)
def test_has_a_module_and_a_header_of_its_name(kind):
    assert kind.stem() in modules()
    assert (f"{kind.stem()}.hpp" in headers()) != (kind.__name__ == "Fifo")


def test_the_files_of_the_kinds_are_all_of_them():
    """A file that defines no node is one of these."""
    others = """__init__ base binary_engine cells cost dot engine errors executor int_engine multiply_shift packed
                packing pool stationary stream window windows""".split()
    files = {path.stem for path in Path(nodes.__file__).parent.glob("*.py")}
    assert files == {kind.stem() for kind in nodes.kinds().values()} | set(others)


class Bare(HardwareOp):
    """What a node is that states nothing."""

    def evaluate(self, a):
        return a


def test_defaults():
    op = Bare(height=2, width=3, channels=4, p=2, bits=6, name="bare")
    assert op.outputs() == op.inputs()
    assert op.cycles() == 12
    assert op.foldings() == [1, 2, 4]
    assert (op.lag(), op.burst(), op.works_ahead(), op.holds(), op.ddr_words, op.ddr_weights()) == (0, 0, 0, 0, 0, b"")
    assert op.timing(10, 100) == (10 + STAGES, 100 + STAGES)
    assert not op.engine and not op.is_wire and not op.streamable
    assert op.operations() == {} and op.fitted([], ()) == {}
    assert op.variant(p=4) == Bare(height=2, width=3, channels=4, p=4, bits=6, name="bare")
    assert op.quick()(np.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [("rtl", "no RTL module for Bare"), ("hls", "no HLS header for Bare")],
)
def test_a_bare_node_has_no_hardware(call, message):
    with pytest.raises(NodeError, match=f"^{message}$"):
        getattr(Bare(height=1, width=1, channels=1), call)()


def test_a_cell_has_no_memories_unless_it_says_so():
    assert Cell("fifo").memories == () and Cell("fifo").extend == 0

"""The harness of the nodes itself: it finds a node whose numpy, streams, rate, RTL or HLS differ from the others."""

import numpy as np
import pytest

from flow.nodes.sign_threshold import SignThreshold
from flow.sim.build import RtlError
from tests.hls.harness import run
from tests.nodes import test_sign_threshold
from tests.nodes.harness import Case, Rtl, draw_stream, headers_of

CHECKS = test_sign_threshold.TestSignThreshold()


class Above(SignThreshold):
    """Equality is -1: what neither reference nor hardware says."""

    def evaluate(self, x, threshold):
        return super().evaluate(x, threshold + 1)


class Hasty(SignThreshold):
    """Its quick form forgets the last channel."""

    def quick(self, threshold):
        return lambda x: self.evaluate(x, np.r_[threshold[:-1], 0])


class Narrow(SignThreshold):
    """Its interval has no +1."""

    def bounds(self, inputs, constants):
        return [(np.full(self.channels, -1), np.full(self.channels, -1))]


class Wide(SignThreshold):
    """Its interval is wider than what it gives."""

    def bounds(self, inputs, constants):
        return [(np.full(self.channels, -2), np.full(self.channels, 2))]


class Short(SignThreshold):
    """Says that it gives two frames at once."""

    def outputs(self):
        return [super().outputs()[0].__class__(2 * self.height, self.width, self.channels, self.p, 1)]


class Rushing(SignThreshold):
    """Says that it takes half of the cycles."""

    def cycles(self):
        return super().cycles() // 2


def made(kind) -> Case:
    """A case of the node ``kind`` on the data of SignThreshold."""
    node = test_sign_threshold.case(8, 4, 6)
    node.kind = kind
    return node


def compared(node, folder):
    return run(headers_of([node]), [node.instance()], folder)[node.identifier].outputs == node.output_beats()


def test_a_right_node_passes(tmp_path):
    node, tests = made("SignThreshold"), CHECKS
    for check in (tests.check_reference, tests.check_quick, tests.check_streams):
        check(node)
    tests.check_bounds(node, reached=True)
    assert compared(node, tmp_path)
    Rtl(node, tmp_path).check()


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Above, CHECKS.check_reference),
        (Hasty, CHECKS.check_quick),
        (Narrow, lambda node: CHECKS.check_bounds(node, reached=False)),
        (Wide, lambda node: CHECKS.check_bounds(node, reached=True)),
        (Short, CHECKS.check_streams),
        (Rushing, CHECKS.check_streams),
    ],
)
def test_numpy_that_is_wrong_is_found(kind, check):
    with pytest.raises(AssertionError):
        check(made(kind))


def test_hls_that_differs_is_found(tmp_path):
    assert not compared(made(Above), tmp_path)


def test_rtl_that_differs_is_found(tmp_path):
    with pytest.raises(AssertionError):
        Rtl(made(Above), tmp_path).check()


def test_rtl_that_gives_another_number_of_beats_is_found(tmp_path):
    rtl = Rtl(made("SignThreshold"), tmp_path)
    taken, given = rtl.traffic
    rtl.traffic = taken, {"out": given["out"][:-1]}
    with pytest.raises(RtlError, match="offers a beat beyond"):
        rtl.check()


def test_rtl_that_is_slower_than_its_node_says_is_found(tmp_path):
    rtl = Rtl(made(Rushing), tmp_path)
    with pytest.raises(AssertionError):
        CHECKS.check_rate(rtl)


def test_data_reaches_the_ends_of_its_stream():
    node = made("SignThreshold")
    x = draw_stream(node.op.inputs()[0], node.rng(1), 4)
    assert (x[0] == -32).all() and (x[1] == 31).all()
    assert len(np.unique(x[2:])) > 40


def test_a_case_draws_the_same_data_every_time():
    first, second = made("SignThreshold"), made("SignThreshold")
    np.testing.assert_array_equal(first.streams[0], second.streams[0])
    np.testing.assert_array_equal(first.constants[0], second.constants[0])

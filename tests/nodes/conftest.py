"""Gives the tests of `harness.NodeTests` the cases of their class, in numpy, in RTL and in HLS."""

import pytest

from tests.hls.harness import run
from tests.nodes.harness import SLOW, Rtl, headers_of


def pytest_generate_tests(metafunc):
    cases = getattr(metafunc.cls, "cases", [])
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", cases, ids=str)
    if "hls_case" in metafunc.fixturenames:
        metafunc.parametrize("hls_case", [case for case in cases if case.hls], ids=str)
    if "rtl" in metafunc.fixturenames:
        built = [
            pytest.param(case, id=str(case), marks=[pytest.mark.slow] if case.rtl == SLOW else [])
            for case in cases
            if case.rtl
        ]
        metafunc.parametrize("rtl", built, indirect=True, scope="class")


@pytest.fixture(scope="class")
def rtl(request, tmp_path_factory):
    """The module of a case."""
    return Rtl(request.param, tmp_path_factory.mktemp("rtl"))


@pytest.fixture(scope="class")
def hls(request, tmp_path_factory):
    """What the HLS calls of all the cases of a class gave: one program."""
    cases = [case for case in request.cls.cases if case.hls]
    return run(headers_of(cases), [case.instance() for case in cases], tmp_path_factory.mktemp("hls"))

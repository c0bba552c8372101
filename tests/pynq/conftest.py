"""These tests run in an environment of their own, with pynq: `make test-pynq`. Without pynq they are left out.

POPBIN_PYNQ_PACKAGES is the folder that tests/pynq/make_package.py filled, build/pynq unless given.
"""

import importlib.util
import os
from pathlib import Path

import pytest

from deploy.platforms import lock

if importlib.util.find_spec("pynq") is None:
    collect_ignore_glob = ["test_*.py"]

PACKAGES = Path(os.environ.get("POPBIN_PYNQ_PACKAGES", "build/pynq")).resolve()


@pytest.fixture(autouse=True, scope="session")
def own_lock(tmp_path_factory):
    """The simulated board is locked in a folder of this session, by whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "LOCK", tmp_path_factory.mktemp("lock") / "board.lock")
        patch.setattr(os, "geteuid", lambda: 0)
        yield


@pytest.fixture(autouse=True)
def own_clocks():
    """Pynq keeps the clocks of the first device of a process: each test has its own."""
    yield
    from pynq import Clocks

    if hasattr(Clocks, "_real_instance"):
        del Clocks._real_instance


@pytest.fixture(scope="session", params=["ddr", "chip", "pll"])
def any_folder(request):
    """A package: with weights in DDR, without, and one whose hand-off is of a design that took the PLL for another."""
    return PACKAGES / request.param


@pytest.fixture(scope="session")
def folder():
    """The package with weights in DDR."""
    return PACKAGES / "ddr"

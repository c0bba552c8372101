"""These tests run in an environment of their own, with pynq: `make test-pynq`. Without pynq they are left out.

POPBIN_PYNQ_PACKAGES is the folder that tests/pynq/make_package.py filled, build/pynq unless given.
"""

import importlib.util
import os
from pathlib import Path

import pytest

if importlib.util.find_spec("pynq") is None:
    collect_ignore_glob = ["test_*.py"]

PACKAGES = Path(os.environ.get("POPBIN_PYNQ_PACKAGES", "build/pynq")).resolve()


@pytest.fixture(autouse=True, scope="session")
def own_lock(tmp_path_factory):
    """The lock of the board lies in a folder of this session and the processes it starts: other boards have another."""
    folder = str(tmp_path_factory.mktemp("lock"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", folder)
        patch.setenv("TMPDIR", folder)
        yield


@pytest.fixture(scope="session", params=["ddr", "chip"])
def any_folder(request):
    """A package, with weights in DDR and without."""
    return PACKAGES / request.param


@pytest.fixture(scope="session")
def folder():
    """The package with weights in DDR."""
    return PACKAGES / "ddr"

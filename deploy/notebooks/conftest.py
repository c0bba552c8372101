"""`pytest --nbmake deploy/notebooks` runs the notebook on the newest build, or on one built for it (minutes)."""

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from deploy import DeployError, find_package

NARROW = "--model reactnet18 --strategy qat --target pynq-z2 --width 16".split()
SECONDS = 3600  # for a build and the notebook


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item):
    """Set POPBIN_PACKAGE for the kernel, which runs in the notebook's folder, where no build is found."""
    stack = contextlib.ExitStack()
    item.addfinalizer(stack.close)
    with contextlib.chdir(item.config.rootpath):
        try:
            package = find_package().resolve()
        except DeployError:
            package = build(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "build")
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setenv("POPBIN_PACKAGE", str(package))
    item.config.option.nbmake_timeout = SECONDS  # of a cell


def build(folder: Path) -> Path:
    """Build a narrow network in ``folder``; return its package."""
    command = [sys.executable, "-m", "flow.cli", "build", *NARROW, "--output", str(folder)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.returncode == 0, f"{' '.join(command)} failed:\n{run.stdout[-2000:]}"
    return folder / "deploy"

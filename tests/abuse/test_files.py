"""Files that are damaged, read by the functions that commands call: one error, which says what is wrong."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from brevitas_models.checkpoint import CheckpointError, load_checkpoint
from flow.errors import FlowError
from flow.images import load_images, load_labels
from flow.inspection import inspect_file
from tests.abuse import damages, template


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return template.make(tmp_path_factory.mktemp("files") / "here")


@pytest.fixture
def here(files, tmp_path):
    return shutil.copytree(files, tmp_path / "here")


def test_files_that_nobody_damaged(here):
    assert inspect_file(here / template.ONNX, (-1.0, 1.0), 12).builds
    assert load_checkpoint(here / template.CHECKPOINT)[1].network.width == 4
    images = load_images(here / template.IMAGES, (16, 16, 3))
    assert images.shape == (16, 16, 16, 3) and len(load_labels(here / template.LABELS, 16)) == 16


@pytest.mark.parametrize("name", damages.ONNX_FILES)
def test_qonnx_files(name, here):
    change, text = damages.ONNX_FILES[name]
    change(here)
    if name == "a node without hardware":
        found = inspect_file(here / template.ONNX, (-1.0, 1.0), 12)
        assert [row["type"] for row in found.refused] == [text]
        return
    with pytest.raises(FlowError, match=text):
        inspect_file(here / template.ONNX, (-1.0, 1.0), 12)


@pytest.mark.parametrize("name", damages.CHECKPOINTS)
def test_checkpoints(name, here):
    change, text = damages.CHECKPOINTS[name]
    change(here)
    with pytest.raises(CheckpointError, match=text):
        load_checkpoint(here / template.CHECKPOINT)


@pytest.mark.parametrize("name", damages.IMAGE_FILES)
def test_images(name, here):
    change, text = damages.IMAGE_FILES[name]
    change(here)
    with pytest.raises(FlowError, match=text):
        load_images(here / template.IMAGES, (16, 16, 3))


@pytest.mark.parametrize("labels", [np.arange(3), np.zeros(16), np.full(16, -1), np.zeros((16, 1), int)])
def test_labels(labels, here):
    damages.array_of(template.LABELS, labels)(here)
    with pytest.raises(FlowError, match=r"labels.npy (holds|has labels)"):
        load_labels(here / template.LABELS, 16)


def test_without_docstrings_and_assertions(here):
    """Under python -OO the same is found, and the same refused."""
    call = [sys.executable, "-OO", "-P", "-m", "flow.cli", "inspect", "--pixels=-1,1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for file, code, text in ((template.ONNX, 0, "35 nodes"), (template.IMAGES, 1, "is no QONNX file")):
        run = subprocess.run([*call, file], cwd=here, env=environment, capture_output=True, text=True)
        assert run.returncode == code and text in run.stdout + run.stderr, run.stderr

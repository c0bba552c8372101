"""The notebook: its source and its committed outputs belong together, and it runs on other packages than it shows."""

import json
import re
import socket
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import deploy.notebooks
from deploy.package import CHECKSUM, settings_text
from tests.deploy.packages import emit_small, make_package

FOLDER = Path(deploy.notebooks.__file__).parent
SOURCE, NOTEBOOK = FOLDER / "accelerator.py", FOLDER / "accelerator.ipynb"
MAX_BYTES = 300_000


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    return make_package(emit_small(folder / "rtl"), folder / "deploy")


@pytest.fixture
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(package, folder, monkeypatch):
    """The notebook after a run on ``package`` in ``folder``, where nothing else lies; and all that it printed."""
    monkeypatch.setenv("POPBIN_PACKAGE", str(package))
    notebook = jupytext.read(SOURCE)
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return notebook, "".join(output.text for output in outputs if output.output_type == "stream")


def test_the_pair_is_one_notebook(committed):
    source = jupytext.read(SOURCE)
    assert [(cell.cell_type, cell.source) for cell in committed.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ]
    assert committed.metadata.kernelspec == source.metadata.kernelspec


def test_every_cell_was_run_in_order_without_error(committed):
    cells = code_cells(committed)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.get("name", output.output_type) for cell in cells for output in cell.outputs}
    assert kinds == {"stdout", "display_data"}  # no error, nothing on stderr


def test_nothing_of_the_machine_leaks(committed):
    """No absolute path and, on the machine that made the outputs, not its name. Base64 has slashes of its own."""
    for cell in code_cells(committed):
        for output in cell.outputs:
            output.get("data", {}).pop("image/png", None)
    text = json.dumps([committed.metadata, [cell.outputs for cell in code_cells(committed)]]).replace("\\n", "\n")
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|usr|opt|mnt|var|srv|Users)/|\.venv", text)
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)


def test_it_is_small():
    assert NOTEBOOK.stat().st_size < MAX_BYTES


def test_the_kernel_is_this_python():
    assert (
        KernelManager(kernel_name=jupytext.read(SOURCE).metadata.kernelspec.name).format_kernel_cmd()[0]
        == sys.executable
    )


def test_small_images_without_labels(package, tmp_path, monkeypatch):
    notebook, text = run(package, tmp_path, monkeypatch)
    assert (
        "24 of the package's 64 sample images: top-1 100.00 %\n240 logits compared with the golden ones: 0 mismatches"
        in text
    )
    assert "nothing was measured on a board" in text and "not of an Arm core" in text
    assert "slowest: stem.conv" in text
    pictures = [
        output for cell in code_cells(notebook) for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 3


def test_without_samples_it_stops_and_says_so(package, tmp_path, monkeypatch):
    settings = json.loads((package / "settings.json").read_text())
    del settings["files"]["samples.npz"], settings[CHECKSUM]
    for name in settings["files"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(package / name)
    (tmp_path / "settings.json").write_text(settings_text(settings))
    with pytest.raises(CellExecutionError, match=r"no sample images of \(8, 8, 3\)"):
        run(tmp_path, tmp_path, monkeypatch)

"""The table beside FINN (benchmarks/peers): as stored, and from figures and folders made here. Needs no FINN."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.peers import compare, jobs
from benchmarks.peers.progress import Progress
from benchmarks.peers.rows import compared, row_of
from benchmarks.peers.table import markdown, table_row

CASES = Path(__file__).parents[1] / "../shared/cases"


@pytest.fixture(scope="module")
def figures():
    """The stored figures, where the command has been run through."""
    if not compare.FIGURES.exists():
        pytest.skip("benchmarks/peers/finn.json: benchmarks.peers.compare has not been run through yet")
    return json.loads(compare.FIGURES.read_text(encoding="utf-8"))


def test_the_stored_table_is_that_of_the_figures(figures):
    table = markdown(figures)
    assert compare.TABLE.read_text(encoding="utf-8") == table
    assert compare.PAGE.read_text(encoding="utf-8").partition(compare.MARK)[2] == f"\n{table}"


def test_every_file_has_a_row(figures):
    rows = [row["name"] for row in figures["rows"]]
    assert len(set(rows)) == len(rows) == figures["files"]
    if (CASES / "cases.json").exists():
        assert rows == [job.name for job in jobs.all_jobs(CASES)]
    lines = markdown(figures).splitlines()
    assert all(sum(line.startswith(f"| {name} |") for line in lines) == 1 for name in rows)


def test_sums_are_those_of_the_rows(figures):
    sums = {
        line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")[1:] for line in markdown(figures).splitlines()
    }
    for number, tool in enumerate(compare.TOOLS):
        states = [row[tool]["state"] for row in figures["rows"]]
        assert int(sums["converted to the end"][number]) == states.count("done")
        assert int(sums["stopped with an error"][number]) == states.count("stopped")


@pytest.fixture
def folder(tmp_path):
    """A job of two frames and three outputs, whose reference and end are written; the flow's outputs are other ones."""
    job = {"name": "small", "group": "cases", "residual": False, "count": 2}
    (tmp_path / "job.json").write_text(json.dumps(job))
    reference = np.array([[0.0, 1.0, 10.0], [3.0, 0.0, 1.0]])
    np.save(tmp_path / "reference.npy", reference)
    np.save(tmp_path / "flow.npy", reference[:, [0, 2, 1]])
    for tool in compare.TOOLS:
        (tmp_path / f"{tool}.end.json").write_text('{"ended": "done", "code": 0}')
    return tmp_path


def failing():
    raise ValueError("node A | of /home/me/file.py\nsecond line")


def test_a_row_tells_the_best_attempt(folder):
    finn = Progress(folder / "finn.json")
    for entry, steps in (("pixels", 1), ("file", 2), ("other", 2)):
        finn.begin(input=entry, steps="default")
        for step in range(steps):
            finn.run(f"step_{step}", lambda: None)
        with pytest.raises(ValueError, match="node A"):
            finn.run("step_last", failing)
    flow = Progress(folder / "flow.json")
    flow.begin()["executed"] = "streamline"
    flow.attempts[0]["estimate"] = {"lut": 1234, "bram18": 3, "dsp": 0, "cycles": 56789}
    flow.write()
    row = row_of(folder, compare.TOOLS)
    assert (row["finn"]["state"], row["finn"]["input"], row["finn"]["tried"]) == ("stopped", "file", 3)
    assert row["flow"]["outputs"] == {"difference": 0.9, "other": 1}
    assert table_row(row) == (
        "| small | stops at step_last: ValueError: node A / of file.py |  | 0.0 |  |  |  "
        "| converted | 90 % off, another class in 1 of 2 | 0.0 | 1,234 | 3 | 56,789 |"
    )


def test_a_process_that_was_ended_or_wrote_nothing(folder):
    (folder / "finn.end.json").write_text('{"ended": "limit", "code": -24}')
    finn = Progress(folder / "finn.json")
    finn.begin(input="pixels", steps="default")["running"] = "step_streamline"
    finn.write()
    (folder / "flow.end.json").write_text('{"ended": "crashed", "code": -9}')
    row = row_of(folder, compare.TOOLS)
    assert table_row(row) == (
        "| small | not done in time: step_streamline |  | 0.0 |  |  |  | crashed in start |  | 0.0 |  |  |  |"
    )


def test_outputs_are_compared_by_one_measure():
    reference = np.array([[0.0, 2.0], [1.0, 1.0 + 1e-9]])
    assert compared(reference, reference) == {"difference": 0.0, "other": 0}
    assert compared(reference[:, ::-1], reference) == {"difference": 1.0, "other": 1}  # the second frame is a tie
    assert compared(reference[:, :1] + 0.5, reference[:, :1]) == {"difference": 0.5, "other": None}
    assert compared(reference * np.nan, reference)["difference"] is None
    assert compared(reference[:, :1], reference) == {"elements": 1, "expected": 2}


def test_a_job_holds_the_files_own_answers(tmp_path):
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 4, 5]) for n in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "sum", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    job = jobs.Job("sum, doubled", "cases", "-1,1", lambda path: onnx.save(proto, path))
    content = jobs.prepare(job, tmp_path / job.stem)
    frames, reference = (np.load(tmp_path / "sum__doubled" / f"{name}.npy") for name in ("frames", "reference"))
    assert content["residual"] and frames.shape == (jobs.COUNT, 4, 5, 2)
    expected = 2 * (frames.transpose(0, 3, 1, 2) * (2 / 255) - 1).reshape(jobs.COUNT, -1)
    np.testing.assert_allclose(reference, expected, atol=1e-6)

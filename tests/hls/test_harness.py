"""The two faults of a stream that g++ does not stop at: the harness must."""

import pytest

from flow.sim import cpp

from .harness import Instance, run

SHORT = Instance(
    "one_beat_short",
    "flow::duplicate<8, 5>",
    inputs={"in": ([255] * 9, 8)},
    outputs={"out0": 8, "out1": 8},
    arguments=("in", "out0", "out1"),
)
LONG = Instance(
    "one_beat_left",
    "flow::duplicate<8, 4>",
    inputs={"in": ([255] * 9, 8)},
    outputs={"out0": 8, "out1": 8},
    arguments=("in", "out0", "out1"),
)


@pytest.mark.parametrize(
    "instance, complaint",
    [(SHORT, "one_beat_short.in' is read while empty"), (LONG, "one_beat_left.in' contains leftover data")],
)
def test_fails_on_a_wrong_number_of_beats(instance, complaint, tmp_path):
    with pytest.raises(AssertionError, match=complaint):
        run(["duplicate"], [instance], tmp_path)


def test_names_the_missing_compiler(monkeypatch, tmp_path):
    monkeypatch.setattr(cpp.shutil, "which", lambda name: None)
    with pytest.raises(cpp.CompileError, match="apt-get install g\\+\\+"):
        cpp.compile_cpp([], tmp_path / "program")


def test_names_the_missing_headers(monkeypatch):
    monkeypatch.setattr(cpp.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(cpp.CompileError, match="pip install hls4ml"):
        cpp.hls_include_dirs()


def test_shows_what_the_compiler_says(tmp_path):
    source = tmp_path / "wrong.cpp"
    source.write_text("int main() { return no_such_name; }\n")
    with pytest.raises(cpp.CompileError, match="no_such_name"):
        cpp.compile_cpp([source], tmp_path / "wrong")

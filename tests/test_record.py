"""What a step left is told from anything else; what cannot be read counts as not finished."""

import pytest

from flow.errors import VerificationError
from flow.record import Record


@pytest.fixture
def record(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    record = Record(tmp_path)
    record.finish("first", "key", 1.5, [tmp_path / "a.txt", tmp_path / "b.txt"])
    return record


def test_files_as_they_were_left(record, tmp_path):
    record.check(tmp_path / "a.txt")
    record.check_step("first")
    record.check(tmp_path / "unknown.txt")
    assert record.has_files("first") and not record.has_files("second")


def test_another_file_is_named(record, tmp_path):
    (tmp_path / "a.txt").write_text("One")
    with pytest.raises(VerificationError, match=r"a.txt is not what step first wrote: put it back, or .* --fresh"):
        record.check_step("first")


def test_a_missing_file_is_made_again(record, tmp_path):
    (tmp_path / "a.txt").unlink()
    record.check_step("first")
    assert not record.has_files("first")


def test_a_file_belongs_to_the_step_that_wrote_it_last(record, tmp_path):
    (tmp_path / "a.txt").write_text("three")
    record.finish("second", "key", 0.5, [tmp_path / "a.txt"])
    record.check_step("first")
    record.check_step("second")
    assert list(record.steps["first"].files) == ["b.txt"]


def test_it_is_read_again(record, tmp_path):
    again = Record(tmp_path)
    assert again.steps == record.steps and again.steps["first"].seconds == 1.5
    again.forget(["first"])
    assert Record(tmp_path).steps == {}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"first": "key"}', '{"first": {"key": "k", "files": []}}', "null"])
def test_a_damaged_record_has_no_steps(record, tmp_path, content):
    (tmp_path / "report" / "steps.json").write_text(content)
    assert Record(tmp_path).steps == {}

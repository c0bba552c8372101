"""The mutations are what they say and drawn again alike; a dozen mutated files end well; and the judge of outcomes."""

import random

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from flow.errors import FlowError, VerificationError

from . import fuzz, mutations
from .fuzz_seeds import GROUPS, Seed
from .random_files import File, Layer, images_of, write

PIXELS = (-1.0, 1.0)


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    """A small network: an 8-bit image, a binary convolution, a pool, a 2-bit layer and a class each of 10."""
    binary = Layer(8, channel_scales=True, pool="max")
    last = Layer(10, weights="4", activation="none", norm=False)
    file = File((2, 8, 8), "8", PIXELS, False, (binary,), (last,), "flatten", "bias", 13, 1, 20.0)
    path = tmp_path_factory.mktemp("seed") / "small.onnx"
    write(file, path)
    return Seed("small", "random", path.read_bytes(), PIXELS, images_of(file))


@pytest.fixture(scope="module")
def seeds(seed):
    return {group: [seed] for group in GROUPS}


def tensors(content: bytes) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load_model_from_string(content).graph.initializer}


def test_a_number_is_a_file(seeds):
    drawn = [fuzz.drawn_file(number, seeds) for number in range(60)]
    assert drawn == [fuzz.drawn_file(number, seeds) for number in range(60)]
    assert len({content for _, content, _ in drawn}) > 55
    assert all(1 <= len(said) <= 4 for _, _, said in drawn)


@pytest.mark.parametrize("change", [*mutations.OFTEN, *mutations.SELDOM], ids=lambda change: change.__name__)
def test_every_mutation_changes_the_file_and_only_by_its_generator(change, seed):
    for number in range(12):
        found = []
        for _ in range(2):
            model = onnx.load_model_from_string(seed.content)
            said = change(model, random.Random(number))
            found.append((said, model.SerializeToString(deterministic=True)))
        assert found[0] == found[1]
        if said is not None:
            break
    else:
        pytest.fail("found no place in the file")
    before = onnx.load_model_from_string(seed.content).SerializeToString(deterministic=True)
    assert change.__name__ in ("change_domain", "change_name", "shuffle_values") or found[0][1] != before


@pytest.mark.parametrize("damage", mutations.OF_BYTES, ids=lambda damage: damage.__name__)
def test_bytes(damage, seed):
    changed, said = damage(seed.content, random.Random(3))
    assert changed != seed.content and said and damage(seed.content, random.Random(3))[0] == changed


def test_a_scaled_constant_is_that_constant_times_a_number(seed):
    model = onnx.load_model_from_string(seed.content)
    name, factor = mutations.values.scale_values(model, random.Random(1)).split(" by ")
    before, after = tensors(seed.content), tensors(model.SerializeToString())
    np.testing.assert_allclose(after.pop(name), before.pop(name) * float(factor), rtol=1e-6)
    assert all(np.array_equal(after[other], before[other]) for other in before)


def test_a_dozen_mutated_files(seeds):
    outcomes = list(fuzz.run(range(12), seeds))
    assert [found.file for found in outcomes] == list(range(12))
    bad = [found for found in outcomes if found.outcome not in fuzz.GOOD]
    assert not bad, bad
    assert any(found.outcome == "refused" for found in outcomes)


def test_the_valid_file_is_built_and_held_to_its_own_scores(seed, tmp_path):
    assert fuzz.judged(seed, seed.content, tmp_path) == ("built", "")


def test_scores_of_another_file_are_wrong(seed, tmp_path, monkeypatch):
    model = onnx.load_model_from_string(seed.content)
    for tensor in model.graph.initializer:
        if tensor.name == model.graph.node[-1].input[1]:  # the bias of each class
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[::-1].copy(), tensor.name))
    real = fuzz.reference
    monkeypatch.setattr(fuzz, "reference", lambda content, *rest: real(model.SerializeToString(), *rest))
    outcome, message = fuzz.judged(seed, seed.content, tmp_path)
    assert outcome == "wrong" and "differs from the file by" in message


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (FlowError("Conv_0 (Conv): its kernel is 9 wide: use one of 7"), "refused"),
        (FlowError("these nodes have no integer form:\n  Conv_0 (Conv, 1x2): it is odd"), "refused"),
        (FlowError("x cannot be used (IndexError: list index out of range)"), "unclear"),
        (FlowError("two\nlines"), "unclear"),
        (FlowError("<class 'int'> is odd"), "unclear"),
        (VerificationError("golden changed 3 of 4 logits, by 30 %, and 25 % is allowed"), "beyond"),
        (VerificationError("csim differs from golden in 3 of 40 logits"), "wrong"),
        (KeyError("x"), "traceback"),
        (MemoryError(), "memory"),
        (RuntimeError("std::bad_alloc"), "memory"),
    ],
)
def test_the_judge(error, outcome, seed, tmp_path, monkeypatch):
    def raises(*_):
        raise error

    monkeypatch.setattr(fuzz, "_built", raises)
    assert fuzz.judged(seed, b"", tmp_path)[0] == outcome


@pytest.mark.parametrize(
    ("program", "outcome"),
    [("while True: pass", "hang"), ("import os; os.kill(os.getpid(), 11)", "crash"), ("bytearray(1 << 40)", "memory")],
)
def test_bounds_of_a_process(program, outcome, seeds, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    monkeypatch.setattr(fuzz, "_built", lambda *_: exec(program))
    assert fuzz.outcome_of(0, seeds).outcome == outcome


def test_a_stopped_run_goes_on_and_other_code_begins_again(tmp_path):
    log = tmp_path / "log.jsonl"
    row = (
        '{"file": 3, "outcome": "refused", "message": "m", "seconds": 1, "seed": "s", "mutations": [], "code": "%s"}\n'
    )
    log.write_text(row % "a" + row.replace('"file": 3', '"file": 4') % "b")
    assert list(fuzz.known_outcomes(log, "a")) == [3] and list(fuzz.known_outcomes(log, "b")) == [4]
    assert fuzz.known_outcomes(tmp_path / "none", "a") == {}


def test_one_bad_file_is_shown_with_how_to_make_it_again(capsys):
    good = fuzz.Outcome(1, "built", "", 0.5, "small", ["drop_node: Conv_0"])
    bad = fuzz.Outcome(2, "traceback", "KeyError: 'x'", 0.7, "small", ["swap_order: Conv_0"])
    assert fuzz.show([good]) and not fuzz.show([bad, good])
    printed = capsys.readouterr().out
    assert "--only 2" in printed and "2 files: 1 built" in printed and "1 traceback" in printed

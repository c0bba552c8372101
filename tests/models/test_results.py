"""Stored results and the table of them."""

import csv
import json
from pathlib import Path

import pytest
import torch

from brevitas_models import recipes
from brevitas_models.checkpoint import Metadata, load_checkpoint
from brevitas_models.metrics import Accuracy
from brevitas_models.recipes import configs
from brevitas_models.results import (
    FOLDER,
    FORMATS,
    MISSING,
    Result,
    ResultError,
    load_results,
    result_path,
    table,
    write_result,
)
from brevitas_models.zoo import FOLDER as ZOO


def result(recipe="reactnet18-qat", length="short", top1=55.25, images=10_000, classes=10, seed=1) -> Result:
    network, train = configs(recipe, length)
    network = network.model_copy(update={"classes": classes})
    accuracy = Accuracy(top1=top1, top5=94.5, images=images, data="CIFAR-10 (JPEG)")
    metadata = Metadata(
        network=network,
        data="CIFAR-10 (JPEG)",
        command="flow train",
        epochs=6,
        epochs_planned=6,
        seed=seed,
        seconds=5000,
        device="a processor",
        accuracy=accuracy,
        weights_sha256="0" * 64,
    )
    return Result(
        recipe=recipe,
        length=length,
        command="flow train --recipe",
        network=metadata,
        train=train,
        torch=torch.__version__,
    )


def test_written_and_read(tmp_path):
    for made in (result(), result("bireal18-none", "day", 80)):
        assert json.loads(write_result(tmp_path, made).read_text())["network"]["accuracy"]["images"] == 10_000
    hundred = result(classes=100)
    write_result(tmp_path, hundred)
    made = (result(), result("bireal18-none", "day", 80), hundred)
    assert load_results(tmp_path) == {one.key: one for one in made} and len({one.key for one in made}) == 3
    rows = table(load_results(tmp_path))
    # all recipes at the common length, only what was run at another; CIFAR-100 comes last
    assert [row.length for row in rows] == ["short"] * len(recipes.names()) + ["day"] + ["short"] * len(recipes.names())
    assert [row.source_top1 for row in rows if row.recipe == "reactnet18-qat"] == [92.51, None]
    assert not list(tmp_path.glob("*.part"))


def test_only_whole_test_sets(tmp_path):
    with pytest.raises(ResultError, match="all 10,000 test images"):
        write_result(tmp_path, result(images=2000))
    assert not list(tmp_path.iterdir())


def test_damage_is_told(tmp_path):
    path = write_result(tmp_path, result())
    text = path.read_text()
    path.write_text(text[:-9])
    with pytest.raises(ResultError, match=f"{path} is no result"):
        load_results(tmp_path)
    path.unlink()
    result_path(tmp_path, "reactnet18-none", "short").write_text(text)
    with pytest.raises(ResultError, match="holds reactnet18-qat of length short"):
        load_results(tmp_path)


def test_table(tmp_path):
    write_result(tmp_path, result())
    rows = table(load_results(tmp_path))
    assert [row.recipe for row in rows][:4] == [f"reactnet18-{name}" for name in ("none", "ptq", "simple-qat", "qat")]
    assert {row.recipe for row in rows} == set(recipes.names()) and {row.length for row in rows} == {"short"}
    row = rows[3].text()
    assert (row["top-1"], row["top-5"], row["width"]) == ("55.25", "94.50", "16")
    assert (row["source top-1"], row["source top-5"]) == ("92.51", "99.64")
    rest = [row[name] for name in ("epochs", "seed", "data", "device", "wall time")]
    assert rest == ["6", "1", "CIFAR-10 (JPEG)", "a processor", "1:23 h"]
    others = [other for other in rows if other is not rows[3]]
    assert all(other.text()["top-1"] == MISSING and not other.text()["top-5"] for other in others)
    assert all(other.top1 is None and other.seeds == () for other in others)
    assert table({}) == []


def test_rows_of_the_common_length_are_listed_beside_a_longer_one(tmp_path):
    write_result(tmp_path, result().model_copy(update={"length": "day"}))
    rows = table(load_results(tmp_path))
    assert [row.top1 for row in rows if row.length == "day"] == [55.25]
    assert [row.top1 for row in rows if row.length == "short"] == [None] * len(recipes.names())


def test_several_seeds_are_one_row(tmp_path):
    for seed, top1 in ((1, 55.0), (2, 57.0), (3, 56.0)):
        write_result(tmp_path, result(top1=top1, seed=seed))
    stored = load_results(tmp_path)
    assert len(stored) == 3 and result_path(tmp_path, "reactnet18-qat", "short", seed=2).is_file()
    row = table(stored)[3]
    assert (row.top1, row.top1_std, row.top5, row.top5_std) == (56.0, 1.0, 94.5, 0.0)
    assert (row.seeds, len(table(stored))) == ((1, 2, 3), len(recipes.names()))
    assert (row.text()["top-1"], row.text()["seed"]) == ("56.00 ± 1.00", "1, 2, 3")


def test_formats(tmp_path):
    write_result(tmp_path, result())
    rows = table(load_results(tmp_path))
    assert list(csv.DictReader(FORMATS["csv"](rows).splitlines())) == [row.text() for row in rows]
    lines = FORMATS["markdown"](rows).splitlines()
    assert len(lines) == len(rows) + 2 and len({line.count("|") for line in lines}) == 1
    assert lines[5].startswith(
        "| ReActNet-18, votes, D = c*alpha | reactnet18-qat | short | 16 | 55.25 | 94.50 | 92.51 | 99.64 |"
    )


def test_json_has_numbers(tmp_path):
    """What is measured is a number, and what is not there is null."""
    for seed, top1 in ((1, 55.0), (2, 56.0)):
        write_result(tmp_path, result(top1=top1, seed=seed))
    first, *_, row = json.loads(FORMATS["json"](table(load_results(tmp_path))))[:4]
    assert row == {
        "title": "ReActNet-18, votes, D = c*alpha",
        "recipe": "reactnet18-qat",
        "length": "short",
        "width": 16,
        "top1": 55.5,
        "top1_std": 0.7071,
        "top5": 94.5,
        "top5_std": 0.0,
        "source_top1": 92.51,
        "source_top5": 99.64,
        "epochs": 6,
        "seeds": [1, 2],
        "data": "CIFAR-10 (JPEG)",
        "device": "a processor",
        "seconds": 5000,
    }
    assert first["recipe"] == "reactnet18-none" and first["source_top1"] == 93.38
    assert all(first[name] is None for name in ("width", "top1", "top1_std", "top5", "epochs", "device", "seconds"))
    assert first["seeds"] == []


def test_results_that_ship():
    """Each is of its recipe as it is now; and every bundled checkpoint is one of theirs."""
    stored = load_results(FOLDER)
    assert stored
    for (recipe, length, classes, seed), made in stored.items():
        network, train = configs(recipe, length)
        assert made.network.network == network.model_copy(update={"classes": classes})
        assert made.train == train.model_copy(update={"seed": seed}) or (
            made.train is None and network.strategy == "ptq"
        )
        assert made.network.finished and made.accuracy.images == 10_000
    trained = [made.network for made in stored.values()]
    for path in ZOO.glob("*.popbin"):
        metadata = load_checkpoint(path)[1]
        if metadata.network.model != "bnn_cifar10":  # which has no row
            assert metadata in trained, path


def test_the_table_of_the_docs_is_the_stored_one():
    path = Path(__file__).parents[2] / "docs" / "accuracy_table.md"
    assert path.read_text() == FORMATS["markdown"](table(load_results(FOLDER))), (
        f"flow table --output {path} writes it again"
    )

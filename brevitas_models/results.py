"""Results of recipes: a JSON file a row and length, written by a training run, never by hand; and their table."""

from __future__ import annotations

import csv
import io
import json
import os
import statistics
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .checkpoint import Accuracy, Metadata
from .config import TrainConfig
from .data import SPLITS
from .errors import ModelError
from .recipes import lengths, load_recipe, names

FOLDER = Path(__file__).parent / "results"
COLUMNS = (
    "row",
    "recipe",
    "length",
    "width",
    "top-1",
    "top-5",
    "source top-1",
    "source top-5",
    "epochs",
    "seed",
    "data",
    "device",
    "wall time",
)
MISSING = "not run"
Key = tuple[str, str, int, int]
"""Recipe, length, number of classes and seed of a result."""


class ResultError(ModelError):
    """A stored result that cannot be read."""


class Result(BaseModel):
    """What came out of a recipe at a length: where from, how long, how good."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    length: str
    command: str = Field(description="a command that does the same")
    network: Metadata
    train: TrainConfig | None = Field(description="None where nothing was trained (ptq)")
    torch: str

    @property
    def accuracy(self) -> Accuracy:
        return self.network.accuracy

    @property
    def key(self) -> Key:
        return self.recipe, self.length, self.network.network.classes, self.network.seed


def result_path(folder: Path, recipe: str, length: str, classes: int = 10, seed: int = 1) -> Path:
    parts = [recipe, length] + [f"cifar{classes}"] * (classes != 10) + [f"seed{seed}"] * (seed != 1)
    return folder / ".".join([*parts, "json"])


def write_result(folder: Path, result: Result) -> Path:
    """Writes a result, whole or not at all.

    Raises:
        ResultError: its accuracy is not of the whole test set.
    """
    if result.network.accuracy is None or result.accuracy.images != SPLITS["test"]:
        raise ResultError(f"{result.recipe}: a row is measured on all {SPLITS['test']:,} test images")
    folder.mkdir(parents=True, exist_ok=True)
    path = result_path(folder, *result.key)
    partial = path.with_suffix(".part")
    partial.write_text(result.model_dump_json(indent=1) + "\n")
    os.replace(partial, path)
    return path


def load_results(folder: Path = FOLDER) -> dict[Key, Result]:
    """All stored results.

    Raises:
        ResultError: a file that is no result, or one under the name of another row.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = Result.model_validate_json(path.read_text())
        except ValidationError as error:
            raise ResultError(
                f"{path} is no result of flow ({error.error_count()} errors): remove it and run the row again"
            ) from error
        if path != result_path(folder, *result.key):
            raise ResultError(f"{path} holds {result.recipe} of length {result.length}: give it that name")
        found[result.key] = result
    return found


def table(results: dict[Key, Result]) -> list[dict[str, str]]:
    """Rows of text under COLUMNS: every recipe at the first of the lengths, which is common to all, and what was run at
    the others.

    Recipes without a result at the common length say so. Of one that was run with several seeds: the mean and the
    standard deviation of a run.
    """
    order = list(lengths())
    there = {key[1:3] for key in results} | {(order[0], key[2]) for key in results}
    there = sorted(there, key=lambda key: (key[1], order.index(key[0])))
    rows = [(recipe, length, classes) for length, classes in there for recipe in sorted(names(), key=_order)]
    runs = {row: [results[key] for key in sorted(results) if key[:3] == row] for row in rows}
    return [_row(*row[:2], found) for row, found in runs.items() if found or row[1] == order[0]]


def _order(name: str) -> tuple:
    """Networks after one another, strategies in the order of the source's table, then what changes them."""
    network = load_recipe(name).network
    plain = name == f"{network.model}-{network.strategy}"
    return network.model != "reactnet18", not plain, ("none", "ptq", "simple-qat", "qat").index(network.strategy), name


def _row(name: str, length: str, runs: list[Result]) -> dict[str, str]:
    recipe = load_recipe(name)
    source = recipe.source if not runs or runs[0].network.network.classes == 10 else None
    values = [recipe.title, name, length]
    if not runs:
        values += ["", MISSING, ""]
    else:
        width, accuracies = runs[0].network.network.width, [result.accuracy for result in runs]
        values += [str(width), _spread([each.top1 for each in accuracies]), _spread([each.top5 for each in accuracies])]
    values += [
        f"{source.top1:.2f}" if source else "",
        f"{source.top5:.2f}" if source and source.top5 is not None else "",
    ]
    if runs:
        metadata = runs[0].network
        seeds = ", ".join(str(result.network.seed) for result in runs)
        duration = _duration(sum(result.network.seconds for result in runs) / len(runs)) if runs[0].train else ""
        values += [
            f"{metadata.epochs:g}" if runs[0].train else "0",
            seeds,
            metadata.accuracy.data,
            metadata.device,
            duration,
        ]
    return dict(zip(COLUMNS, values + [""] * (len(COLUMNS) - len(values))))


def _spread(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def as_markdown(rows: list[dict[str, str]]) -> str:
    lines = [
        " | ".join(COLUMNS),
        " | ".join("---" for _ in COLUMNS),
        *(" | ".join(row[name] for name in COLUMNS) for row in rows),
    ]
    return "".join(f"| {line} |\n" for line in lines)


def as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(rows: list[dict[str, str]]) -> str:
    return json.dumps(rows, indent=1) + "\n"


FORMATS = {"markdown": as_markdown, "csv": as_csv, "json": as_json}

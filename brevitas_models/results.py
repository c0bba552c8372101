"""Results of recipes: a JSON file a row and length, written by a training run, never by hand; and their table."""

from __future__ import annotations

import csv
import io
import json
import os
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .checkpoint import Accuracy, Metadata
from .config import MODELS, STRATEGIES, TEACHERS, TrainConfig
from .data import SPLITS
from .errors import ModelError
from .recipes import lengths, load_length, load_recipe, names

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

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    recipe: str
    length: str
    command: str = Field(description="a command that does the same")
    network: Metadata
    train: TrainConfig | None = Field(description="None where nothing was trained")
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


def load_results(folder: Path | None = None) -> dict[Key, Result]:
    """All stored results, of FOLDER unless another is given.

    Raises:
        ResultError: a file that is no result, or one under the name of another row.
    """
    folder = folder or FOLDER
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = Result.model_validate_json(path.read_bytes())
            load_recipe(result.recipe), load_length(result.length)
            if result.accuracy is None:
                raise ResultError("it has no accuracy")
        except (ValidationError, ModelError, OSError) as error:
            reason = f"{error.error_count()} errors" if isinstance(error, ValidationError) else str(error)
            raise ResultError(f"{path} is no result of flow ({reason}): remove it and run the row again") from error
        if path != result_path(folder, *result.key):
            raise ResultError(f"{path} holds {result.recipe} of length {result.length}: give it that name")
        found[result.key] = result
    return found


@dataclass(frozen=True)
class Row:
    """A row of the table: a recipe at a length, with the numbers of its runs; None where there are none.

    top1, top5: means over the runs, in percent. top1_std, top5_std: standard deviations of a run, None for a single
    one. source_top1, source_top5: the source's figures, in percent. seconds: of a run, on average.
    """

    title: str
    recipe: str
    length: str
    width: int | None = None
    top1: float | None = None
    top1_std: float | None = None
    top5: float | None = None
    top5_std: float | None = None
    source_top1: float | None = None
    source_top5: float | None = None
    epochs: float | None = None
    seeds: tuple[int, ...] = ()
    data: str | None = None
    device: str | None = None
    seconds: float | None = None

    def text(self) -> dict[str, str]:
        """Return the row as text under COLUMNS."""
        values = [
            self.title,
            self.recipe,
            self.length,
            _number(self.width, "d"),
            _spread(self.top1, self.top1_std) or MISSING,
            _spread(self.top5, self.top5_std),
            _number(self.source_top1, ".2f"),
            _number(self.source_top5, ".2f"),
            _number(self.epochs, "g"),
            ", ".join(map(str, self.seeds)),
            self.data or "",
            self.device or "",
            _duration(self.seconds),
        ]
        return dict(zip(COLUMNS, values, strict=True))


def table(results: dict[Key, Result]) -> list[Row]:
    """Return the rows: every recipe at the first of the lengths, which is common to all, and what was run at the
    others.

    A recipe without a result at the common length has a row without numbers; several seeds of one share a row.
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
    models = sorted((*MODELS, *TEACHERS), key=lambda model: model != "reactnet18")
    return models.index(network.model), not plain, STRATEGIES.index(network.strategy), name


def _row(name: str, length: str, runs: list[Result]) -> Row:
    recipe = load_recipe(name)
    source = recipe.source if not runs or runs[0].network.network.classes == 10 else None
    figures = {"source_top1": source.top1, "source_top5": source.top5} if source else {}
    if not runs:
        return Row(recipe.title, name, length, **figures)
    metadata, trained = runs[0].network, runs[0].train is not None
    top1, top5 = ([getattr(result.accuracy, figure) for result in runs] for figure in ("top1", "top5"))
    return Row(
        recipe.title,
        name,
        length,
        width=metadata.network.width,
        top1=statistics.fmean(top1),
        top1_std=statistics.stdev(top1) if len(runs) > 1 else None,
        top5=statistics.fmean(top5),
        top5_std=statistics.stdev(top5) if len(runs) > 1 else None,
        **figures,
        epochs=metadata.epochs if trained else 0,
        seeds=tuple(result.network.seed for result in runs),
        data=metadata.accuracy.data,
        device=metadata.device,
        seconds=statistics.fmean(result.network.seconds for result in runs) if trained else None,
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _spread(mean: float | None, deviation: float | None) -> str:
    return _number(mean, ".2f") + ("" if deviation is None else f" ± {deviation:.2f}")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


def as_markdown(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        " | ".join(COLUMNS),
        " | ".join("---" for _ in COLUMNS),
        *(" | ".join(row.text().values()) for row in rows),
    ]
    return "".join(f"| {line} |\n" for line in lines)


def as_csv(rows: list[Row]) -> str:
    """Return the rows as CSV, with the text of the Markdown table."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.text() for row in rows)
    return text.getvalue()


def as_json(rows: list[Row]) -> str:
    """Return the rows as a JSON list of the fields of Row: numbers of at most four decimals, null where there are
    none."""
    fields = [asdict(row).items() for row in rows]
    numbers = [{key: round(value, 4) if isinstance(value, float) else value for key, value in row} for row in fields]
    return json.dumps(numbers, indent=1) + "\n"


FORMATS = {"markdown": as_markdown, "csv": as_csv, "json": as_json}

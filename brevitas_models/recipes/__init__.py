"""Recipes: what is trained for each row of the accuracy table, and for how long.

A recipe is a YAML file here: the network, what its training starts from, and the source's own figures and length where
it has a row for it. A length is what all rows share, so that they compare: its own width, epochs and schedule
(lengths.yaml).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from ..config import FULL_WIDTH, NetworkConfig, TrainConfig
from ..errors import ModelError

SUFFIX = ".yaml"
LENGTHS_FILE = "lengths.yaml"


class RecipeError(ModelError):
    """A recipe that is not there, or says what cannot be; the message says which and what to do."""


class Figures(BaseModel):
    """Top-1 and top-5 in percent on CIFAR-10, as a source gives them."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    top1: float = Field(ge=0, le=100)
    top5: float | None = Field(None, ge=0, le=100)


class Length(BaseModel):
    """How long and at what width every row is trained.

    ``width`` is of 64, which most models have in full; others take the same part of theirs, and None is all of it.
    ``own_epochs``: as many as the recipe's source took. ``teacher_length`` is the length whose networks are the
    teachers of this one's rows, ``start_length`` the one whose networks its rows begin with; None: its own.
    ``part_resolutions`` are those of rows that are a part of the length (Recipe).
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    width: int | None = None
    own_epochs: bool = False
    teacher_length: str | None = None
    start_length: str | None = None
    part_resolutions: tuple[tuple[float, int], ...] = ((0.0, 32),)
    train: TrainConfig


class Recipe(BaseModel):
    """One row.

    ``start``: the recipe whose trained network this one begins with; ``part``, of the length's epochs, is enough then,
    on whole images unless the length says otherwise. A row of an untrained network (NetworkConfig.untrained) trains
    nothing: strategy ptq is that network with votes, and, with ``calibration``, BatchNorm statistics of so many
    training images. ``epochs`` is the source's own length, in batches of 512; ``votes_from``, ``branch_scale``,
    ``window`` and ``clipping`` stand for those of the length (TrainConfig). ``teacher`` is the recipe whose network
    this one learns from, with ``distillation`` as its part of the loss.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    title: str
    network: NetworkConfig
    start: str | None = None
    part: float | None = Field(None, gt=0, lt=1)
    teacher: str | None = None
    distillation: float = Field(0.0, ge=0, le=1)
    calibration: int = Field(0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    votes_from: float | None = Field(None, ge=0, lt=1)
    branch_scale: PositiveFloat | None = None
    window: tuple[PositiveFloat, PositiveFloat] | None = None
    clipping: PositiveFloat | None = None
    epochs: int | None = Field(None, ge=1)
    source: Figures | None = None

    @model_validator(mode="after")
    def _consistent(self):
        untrained, what = self.network.untrained, "activation_scale mean"
        if self.network.strategy == "ptq":
            what = "strategy ptq"
        elif self.calibration:
            raise ValueError("calibration is of strategy ptq only")
        if untrained and not self.start:
            other = "strategy none" if what == "strategy ptq" else "a map"
            raise ValueError(f"{what} needs a start: the recipe of a network trained with {other}")
        if untrained and (self.epochs or self.label_smoothing or self.votes_from or self.teacher):
            raise ValueError(f"{what} trains nothing: no epochs, no label_smoothing, no votes_from, no teacher")
        if self.part and (untrained or not self.start):
            raise ValueError("part is of a row that is trained on from a start")
        if self.window and self.network.division != "rms":
            raise ValueError("window is of division rms only")
        if (self.teacher is None) != (self.distillation == 0):
            raise ValueError("teacher and distillation go together")
        return self


def names() -> list[str]:
    """Names of all recipes."""
    files = resources.files(__package__).iterdir()
    return sorted(
        path.name.removesuffix(SUFFIX) for path in files if path.name.endswith(SUFFIX) and path.name != LENGTHS_FILE
    )


@cache
def load_recipe(name: str) -> Recipe:
    """The recipe ``name``.

    Raises:
        RecipeError: there is none, or its file is wrong.
    """
    if name not in names():
        raise RecipeError(f"recipe {name!r} is unknown: use {', '.join(names())}")
    return parse_recipe(resources.files(__package__).joinpath(name + SUFFIX).read_text(), f"recipe {name}")


def parse_recipe(text: str, name: str) -> Recipe:
    """A recipe from YAML; ``name`` says whose it is in messages.

    Raises:
        RecipeError: unknown keys, impossible values, or no YAML at all.
    """
    return _validated(Recipe, _yaml(text, name), name)


@cache
def lengths() -> dict[str, Length]:
    """All lengths by name."""
    found = _yaml(resources.files(__package__).joinpath(LENGTHS_FILE).read_text(), LENGTHS_FILE)
    return {name: _validated(Length, fields, f"length {name}") for name, fields in found.items()}


def load_length(name: str) -> Length:
    """The length ``name``.

    Raises:
        RecipeError: there is none.
    """
    if name not in lengths():
        raise RecipeError(f"length {name!r} is unknown: use {', '.join(lengths())}")
    return lengths()[name]


def teacher_length(length: str) -> str:
    """The length at which the teachers of a length's rows are trained."""
    return load_length(length).teacher_length or length


def start_length(length: str) -> str:
    """The length at which the networks that a length's rows begin with are trained."""
    return load_length(length).start_length or length


def configs(name: str, length: str) -> tuple[NetworkConfig, TrainConfig]:
    """What is trained, and how, for a row at a length.

    Raises:
        RecipeError: no such recipe or length, they do not go together, or the source has no such row.
    """
    recipe, time = load_recipe(name), load_length(length)
    full = FULL_WIDTH.get(recipe.network.model, 64)
    width = {"width": full if time.width is None else time.width * full // 64}
    train = {**time.train.model_dump(), "label_smoothing": recipe.label_smoothing, "distillation": recipe.distillation}
    train |= {
        name: value
        for name in ("votes_from", "branch_scale", "window", "clipping")
        if (value := getattr(recipe, name)) is not None
    }
    if time.own_epochs and not recipe.network.untrained:
        if recipe.epochs is None:
            others = ", ".join(other for other, each in lengths().items() if not each.own_epochs)
            raise RecipeError(f"recipe {name} has no length of the source's own: use {others}")
        train["epochs"] = recipe.epochs
    if recipe.part is not None:
        train |= {"epochs": max(1, round(recipe.part * train["epochs"])), "resolutions": time.part_resolutions}
    network = _validated(NetworkConfig, {**recipe.network.model_dump(), **width}, f"recipe {name} at length {length}")
    return network, _validated(TrainConfig, train, f"recipe {name} at length {length}")


def _yaml(text: str, name: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise RecipeError(f"{name} is no mapping of keys to values")
    return found


def _validated(kind: type[BaseModel], fields: Any, name: str):
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}, not {e['input']!r}" for e in error.errors()
        )
        raise RecipeError(f"{name}: {problems}") from error

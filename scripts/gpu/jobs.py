"""The rows that are to be trained, and where each leaves its files."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from brevitas_models.recipes import configs, load_recipe, start_length, teacher_length
from brevitas_models.results import result_path
from flow.cli.recipes import run_folder

QUEUE = Path(__file__).with_name("jobs.yaml")


@dataclass(frozen=True)
class Job:
    """A row of the accuracy table."""

    recipe: str
    length: str

    @property
    def name(self) -> str:
        return f"{self.recipe}.{self.length}"

    @property
    def needs(self) -> list[Job]:
        """Rows whose networks this one begins with or learns from."""
        recipe = load_recipe(self.recipe)
        start = [Job(recipe.start, start_length(self.length))] if recipe.start else []
        return start + ([Job(recipe.teacher, teacher_length(self.length))] if recipe.teacher else [])


def load_jobs(path: Path = QUEUE) -> list[Job]:
    """The jobs of a queue.

    Raises:
        RecipeError: a recipe or length is unknown, or they do not go together.
    """
    jobs = [Job(**fields) for fields in yaml.safe_load(path.read_text())]
    for job in jobs:
        configs(job.recipe, job.length)
    return jobs


@dataclass(frozen=True)
class Work:
    """The folder in which rows are trained: ``runs`` and ``results`` as in the repository, ``logs``, and ``failed``."""

    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def run(self, job: Job) -> Path:
        return run_folder(job.recipe, job.length, 10, self.runs)

    def state(self, job: Job) -> Path:
        return self.run(job) / "state.pt"

    def log(self, job: Job) -> Path:
        return self.folder / "logs" / f"{job.name}.log"

    def finished(self, job: Job) -> bool:
        return result_path(self.results, job.recipe, job.length).is_file()

    def failure(self, job: Job) -> dict:
        """What went wrong last, and how often the learning rate has been halved since."""
        path = self.folder / "failed" / f"{job.name}.json"
        return json.loads(path.read_text()) if path.is_file() else {"halvings": 0, "message": ""}

    def note_failure(self, job: Job, message: str, halve: bool) -> None:
        """Keeps ``message`` for the next call, which goes on from the last good state; ``halve``: with half the
        learning rate.
        """
        path = self.folder / "failed" / f"{job.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        note = {"halvings": self.failure(job)["halvings"] + halve, "message": message}
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(note) + "\n")
        os.replace(partial, path)

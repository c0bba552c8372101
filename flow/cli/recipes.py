"""Training a recipe at a length: what ``flow train --recipe`` and ``flow table --run`` share."""

from __future__ import annotations

from pathlib import Path

import torch
import typer

from brevitas_models.checkpoint import Accuracy, Metadata, from_training_state, load_checkpoint
from brevitas_models.data import ImageSet
from brevitas_models.networks import converted, settle_statistics
from brevitas_models.recipes import Recipe, RecipeError, configs, load_recipe
from brevitas_models.results import Result, write_result
from brevitas_models.train import Trainer, accuracy
from brevitas_models.world import join
from flow.cli.common import write_checkpoint
from flow.cli.progress import TrainingProgress

RUNS = Path("runs")


def run_folder(name: str, length: str, classes: int, runs: Path = RUNS) -> Path:
    return runs / length / (name if classes == 10 else f"{name}-cifar{classes}")


def run_recipe(
    name: str, length: str, data: tuple[ImageSet, ImageSet], runs: Path, results: Path, device, save_seconds: float = 300.0
) -> Result | None:
    """Trains a row, or goes on with it, and stores its checkpoint, card and result; None in all processes but the first.

    Raises:
        RecipeError: it starts from a row that has not been run, or does not go with the length.
    """
    recipe, folder = load_recipe(name), run_folder(name, length, data[0].classes, runs)
    network, config = configs(name, length)
    folder.mkdir(parents=True, exist_ok=True)
    train, test = data
    network = network.model_copy(update={"classes": train.classes})
    if network.strategy == "ptq":
        start = _start(recipe, length, run_folder(recipe.start, length, train.classes, runs))
        model, metadata = _without_training(recipe, length, start, train)
        config = None
        top1, top5 = accuracy(model.to(device), test)
        measured = Accuracy(top1=top1, top5=top5, images=len(test), data=test.source)
    else:
        world, device = join(torch.device(device))
        trainer = Trainer(network, config, train, test, folder, device, save_seconds, world)
        with TrainingProgress(trainer.steps, quiet=not world.first) as progress:
            if trainer.resume():
                progress.say(f"going on with {folder} at step {trainer.step} of {trainer.steps}")
            elif recipe.start:
                start = run_folder(recipe.start, length, train.classes, runs)
                trainer.start_from(_start(recipe, length, start)[0], str(start / "checkpoint.popbin"))
            elif trunk := next((path for path in sorted(folder.parent.glob("*/trunk.pt")) if trainer.branch_from(path)), None):
                progress.say(f"the first {trainer.step} steps are those of {trunk.parent}")
            trainer.run(progress.report)
        if not world.first:
            return None
        model, metadata = from_training_state(trainer.state_file)
        measured = trainer.measured()
    path = write_checkpoint(folder, model.cpu(), metadata.model_copy(update={"accuracy": measured}))
    command = f"flow train --recipe {name} --length {length}"
    stored = load_checkpoint(path)[1]
    result = Result(recipe=name, length=length, command=command, network=stored, train=config, torch=torch.__version__)
    written = write_result(results, result)
    accuracies = f"top-1 {measured.top1:.2f} %, top-5 {measured.top5:.2f} %"
    typer.echo(f"{name}, {length}: {accuracies} on {measured.images} test images, {measured.data}")
    typer.echo(f"wrote {path} and {written}")
    return result


def _start(recipe: Recipe, length: str, folder: Path) -> tuple[torch.nn.Module, Metadata]:
    """The network a recipe starts from, with its float weights where the run is still there; and its metadata."""
    for path, load in ((folder / "state.pt", from_training_state), (folder / "checkpoint.popbin", load_checkpoint)):
        if path.is_file() and (found := load(path))[1].finished:
            return found
    raise RecipeError(f"this recipe starts from {recipe.start}: first run flow train --recipe {recipe.start} --length {length}")


def _without_training(
    recipe: Recipe, length: str, start: tuple[torch.nn.Module, Metadata], train: ImageSet
) -> tuple[torch.nn.Module, Metadata]:
    """Strategy ptq."""
    source, metadata = start
    network = converted(source, strategy="ptq", voter=recipe.network.voter)
    if recipe.calibration:
        settle_statistics(network, train.spread(recipe.calibration).images)
    changes = {"network": network.config, "earlier": [*metadata.earlier, metadata.command]}
    return network, metadata.model_copy(update={**changes, "command": f"flow table --run --length {length}"})

"""Training a recipe at a length: what ``flow train --recipe`` and ``flow table --run`` share."""

from __future__ import annotations

from pathlib import Path

import torch
import typer

from brevitas_models.checkpoint import Accuracy, Metadata, from_training_state, load_checkpoint, load_trained
from brevitas_models.data import ImageSet
from brevitas_models.evaluate import accuracy
from brevitas_models.networks import converted, settle_statistics
from brevitas_models.recipes import Recipe, RecipeError, configs, load_recipe
from brevitas_models.results import Result, write_result
from brevitas_models.train import Trainer
from brevitas_models.world import join
from flow.cli.common import write_checkpoint
from flow.cli.progress import TrainingProgress

RUNS = Path("runs")


def run_folder(name: str, length: str, classes: int, runs: Path = RUNS, seed: int = 1) -> Path:
    return runs / length / (name + f"-cifar{classes}" * (classes != 10) + f"-seed{seed}" * (seed != 1))


def run_recipe(
    name: str,
    length: str,
    data: tuple[ImageSet, ImageSet],
    runs: Path,
    results: Path,
    device,
    save_seconds: float = 300.0,
    seed: int = 1,
) -> Result | None:
    """Trains a row, or goes on with it, and stores its checkpoint, card and result; None in all processes but the first.

    What it starts from, and its teacher, are those of the same seed.

    Raises:
        RecipeError: it needs a row that has not been run, or does not go with the length.
    """
    train, test = data

    def folder_of(row: str) -> Path:
        return run_folder(row, length, train.classes, runs, seed)

    recipe, folder = load_recipe(name), folder_of(name)
    network, config = configs(name, length)
    folder.mkdir(parents=True, exist_ok=True)
    network, config = network.model_copy(update={"classes": train.classes}), config.model_copy(update={"seed": seed})
    if network.strategy == "ptq":
        start = _trained(recipe.start, length, folder_of(recipe.start))
        model, metadata = _without_training(recipe, length, start[:2], train)
        config = None
        top1, top5 = accuracy(model.to(device), test)
        measured = Accuracy(top1=top1, top5=top5, images=len(test), data=test.source)
    else:
        world, device = join(torch.device(device))
        teacher = None
        if recipe.teacher:
            learned_from = folder_of(recipe.teacher)  # its checkpoint answers as its training state does
            teacher = _trained(recipe.teacher, length, learned_from)[0], str(learned_from / "checkpoint.popbin")
        trainer = Trainer(network, config, train, test, folder, device, save_seconds, world, teacher)
        with TrainingProgress(trainer.steps, quiet=not world.first) as progress:
            if trainer.resume():
                progress.say(f"going on with {folder} at step {trainer.step} of {trainer.steps}")
            elif recipe.start:
                start, metadata, path = _trained(recipe.start, length, folder_of(recipe.start))
                trainer.start_from(start, str(path), metadata)
            elif trunk := next(
                (path for path in sorted(folder.parent.glob("*/trunk.pt")) if trainer.branch_from(path)), None
            ):
                progress.say(f"the first {trainer.step} steps are those of {trunk.parent}")
            trainer.run(progress.report)
        if not world.first:
            return None
        model, metadata = from_training_state(trainer.state_file)
        measured = trainer.measured()
    path = write_checkpoint(folder, model.cpu(), metadata.model_copy(update={"accuracy": measured}))
    command = f"flow train --recipe {name} --length {length}" + f" --seed {seed}" * (seed != 1)
    stored = load_checkpoint(path)[1]
    result = Result(recipe=name, length=length, command=command, network=stored, train=config, torch=torch.__version__)
    written = write_result(results, result)
    accuracies = f"top-1 {measured.top1:.2f} %, top-5 {measured.top5:.2f} %"
    typer.echo(f"{name}, {length}: {accuracies} on {measured.images} test images, {measured.data}")
    typer.echo(f"wrote {path} and {written}")
    return result


def _trained(name: str, length: str, folder: Path) -> tuple[torch.nn.Module, Metadata, Path]:
    """The network of another row, with its float weights where the run is still there; its metadata, and the file."""
    for path in (folder / "state.pt", folder / "checkpoint.popbin"):
        if path.is_file() and (found := load_trained(path))[1].finished:
            return *found, path
    raise RecipeError(
        f"this recipe needs the network of {name} in {folder}: first run flow train --recipe {name} --length {length}"
    )


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

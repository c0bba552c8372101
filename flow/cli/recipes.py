"""Training a recipe at a length: what ``flow train --recipe`` and ``flow table --run`` share."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
import typer

from brevitas_models import zoo
from brevitas_models.checkpoint import Accuracy, Metadata, from_training_state, load_checkpoint, load_trained
from brevitas_models.data import ImageSet
from brevitas_models.evaluate import accuracy
from brevitas_models.networks import converted, settle_statistics
from brevitas_models.recipes import Recipe, RecipeError, configs, load_recipe, start_length, teacher_length
from brevitas_models.results import Key, Result, load_results, write_result
from brevitas_models.train import Trainer
from brevitas_models.world import join
from flow.cli.common import write_checkpoint
from flow.cli.progress import TrainingProgress
from flow.files import locked

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
    until: float = math.inf,
    halvings: int = 0,
    compile: bool = True,
) -> Result | None:
    """Trains a row, or goes on with it, and stores its checkpoint, card and result.

    What it starts from, and its teacher, are those of the same seed. ``until``: as of Trainer.run. ``halvings`` of the
    learning rate, from where the run is on: after a loss that was no number. Returns None in all processes but the
    first, and for a run that is not at its end.

    Raises:
        RecipeError: it needs a row that has not been run, or does not go with the length.
    """
    train, test = data

    def trained(row: str, length: str) -> tuple[torch.nn.Module, Metadata, Path]:
        return _trained((row, length, train.classes, seed), run_folder(row, length, train.classes, runs, seed))

    recipe, folder = load_recipe(name), run_folder(name, length, train.classes, runs, seed)
    network, config = configs(name, length)
    folder.mkdir(parents=True, exist_ok=True)
    network = network.model_copy(update={"classes": train.classes})
    config = config.model_copy(update={"seed": seed, "lr": config.lr * 0.5**halvings, "compile": compile})
    apart = None
    if network.untrained:
        start = trained(recipe.start, start_length(length))
        model, metadata = _without_training(recipe, length, start[:2], train)
        config = None
        top1, top5 = accuracy(model.to(device), test)
        measured = Accuracy(top1=top1, top5=top5, images=len(test), data=test.source)
    else:
        world, device = join(torch.device(device))
        teacher = None
        if recipe.teacher:
            teaching, _, path = trained(recipe.teacher, teacher_length(length))
            teacher = teaching, str(path.with_name("checkpoint.popbin"))  # which answers as its training state does
        trainer = Trainer(network, config, train, test, folder, device, save_seconds, world, teacher)
        alone = locked(folder, "training") if world.first else nullcontext()
        with alone, TrainingProgress(trainer.steps, quiet=not world.first) as progress:
            if trainer.resume(reschedule=halvings > 0):
                progress.say(f"going on with {folder} at step {trainer.step} of {trainer.steps}")
            elif recipe.start:
                start, metadata, path = trained(recipe.start, start_length(length))
                trainer.start_from(start, str(path), metadata)
            elif trunk := next(
                (path for path in sorted(folder.parent.glob("*/trunk.pt")) if trainer.branch_from(path)), None
            ):
                progress.say(f"the first {trainer.step} steps are those of {trunk.parent}")
            finished = trainer.run(reporter(progress), until=until)
        if not (world.first and finished):
            return None
        model, metadata = from_training_state(trainer.state_file)
        measured, apart = trainer.measured(), trainer.measured_apart()
    metadata = metadata.model_copy(update={"accuracy": measured, "validation": apart})
    path = write_checkpoint(folder, model.cpu(), metadata)
    command = f"flow train --recipe {name} --length {length}" + f" --seed {seed}" * (seed != 1)
    stored = load_checkpoint(path)[1]
    result = Result(recipe=name, length=length, command=command, network=stored, train=config, torch=torch.__version__)
    written = write_result(results, result)
    accuracies = f"top-1 {measured.top1:.2f} %, top-5 {measured.top5:.2f} %"
    typer.echo(f"{name}, {length}: {accuracies} on {measured.images} test images, {measured.data}")
    typer.echo(f"wrote {path} and {written}")
    return result


def reporter(progress: TrainingProgress) -> Callable[[dict], None]:
    """What a trainer reports to: ``progress``, where lines of images kept apart from training do not say "test
    images"."""

    def report(line: dict) -> None:
        if line.get("split") != "validation":
            progress.report(line)
            return
        progress.say(
            f"epoch {line['epoch']}: loss {line['loss']:.4f}, top-1 {line['top1']:.2f} %, top-5 {line['top5']:.2f} % "
            f"on {line['test_images']} training images kept apart"
        )

    return report


def _trained(key: Key, folder: Path) -> tuple[torch.nn.Module, Metadata, Path]:
    """The network of another row, its metadata, and the file: of its run, with float weights, or the bundled one."""
    for path in (folder / "state.pt", folder / "checkpoint.popbin"):
        if path.is_file() and (found := load_trained(path))[1].finished:
            return *found, path
    stored = load_results().get(key)
    if stored and stored.network.network == configs(*key[:2])[0]:
        path = zoo.FOLDER / f"{zoo.checkpoint_name(stored.network.network)}.popbin"
        if path.is_file() and (found := load_trained(path))[1].weights_sha256 == stored.network.weights_sha256:
            return *found, path
    raise RecipeError(
        f"this recipe needs the network of {key[0]} in {folder}: first run flow train --recipe {key[0]} --length "
        f"{key[1]}"
    )


def _without_training(
    recipe: Recipe, length: str, start: tuple[torch.nn.Module, Metadata], train: ImageSet
) -> tuple[torch.nn.Module, Metadata]:
    """A network that another one becomes as it is (NetworkConfig.untrained)."""
    source, metadata = start
    fields = {name: getattr(recipe.network, name) for name in ("strategy", "voter", "activation_scale")}
    network = converted(source, **fields)
    if recipe.calibration:
        settle_statistics(network, train.spread(recipe.calibration).images)
    changes = {"network": network.config, "earlier": [*metadata.earlier, metadata.command]}
    return network, metadata.model_copy(update={**changes, "command": f"flow table --run --length {length}"})

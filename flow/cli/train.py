"""``flow train``: trains a network on CIFAR-10, and goes on where it stopped."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from brevitas_models.config import (
    DIVISIONS,
    NORMS,
    PADDINGS,
    SHORTCUTS,
    SLOPES,
    TEACHER_ON,
    THRESHOLDS,
    TrainConfig,
)
from flow.cli.common import (
    DEFAULT_DATA,
    DataOption,
    ModelOption,
    StrategyOption,
    VoterOption,
    known,
    network_config,
    refuse_given,
    torch_device,
    write_checkpoint,
)
from flow.errors import FlowError
from flow.files import locked

DEFAULTS = TrainConfig()


def train(
    context: typer.Context,
    model: ModelOption = "bireal18",
    strategy: StrategyOption = None,
    width: Annotated[
        int | None, typer.Option(help="Channels of the first stage.  [default: the model's full width]")
    ] = None,
    division: Annotated[
        str | None, typer.Option(help=f"Division number of qat: {', '.join(DIVISIONS)}.  [default: c*alpha]")
    ] = None,
    train_alpha: Annotated[bool, typer.Option(help="Learn the division number's alpha, or keep it at 1.")] = True,
    voter: VoterOption = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            help=f"The least sum that votes +1: {', '.join(THRESHOLDS)}, the last two per channel.  [default: majority]"
        ),
    ] = None,
    shortcut: Annotated[
        str | None, typer.Option(help=f"Across stages: {', '.join(SHORTCUTS)}.  [default: conv8]")
    ] = None,
    padding: Annotated[
        str | None, typer.Option(help=f"Of binary convolutions: {', '.join(PADDINGS)}.  [default: minus_one]")
    ] = None,
    slopes: Annotated[
        str | None, typer.Option(help=f"Of RPReLU: {', '.join(SLOPES)}.  [default: power_of_two]")
    ] = None,
    norm: Annotated[str | None, typer.Option(help=f"Of binary blocks: {', '.join(NORMS)}.  [default: bn]")] = None,
    activation_scale: Annotated[
        str | None,
        typer.Option(help="XNOR-Net's K: none, or map (for training; hardware then has its mean).  [default: none]"),
    ] = None,
    activation_bits: Annotated[
        int | None,
        typer.Option(help="Of bwn18: bits that a convolution takes, unsigned.  [default: 7]", show_default=False),
    ] = None,
    residual_bits: Annotated[
        int | None, typer.Option(help="Bits of the residual stream.  [default: 8]", show_default=False)
    ] = None,
    residual_fraction: Annotated[
        int | None, typer.Option(help="Of which behind the point.  [default: 4]", show_default=False)
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Row of the accuracy table, instead of a network and a schedule.", show_default=False),
    ] = None,
    length: Annotated[str, typer.Option(help="Of a recipe: short, day, long, source, ...")] = "short",
    data: DataOption = DEFAULT_DATA,
    epochs: int = DEFAULTS.epochs,
    batch: int = DEFAULTS.batch,
    lr: Annotated[float, typer.Option(help="Peak learning rate of the one-cycle schedule.")] = DEFAULTS.lr,
    label_smoothing: Annotated[
        float, typer.Option(help="What part of a label is spread over all classes.")
    ] = DEFAULTS.label_smoothing,
    teacher: Annotated[
        Path | None, typer.Option(help="Checkpoint whose answers are learned beside the labels.", show_default=False)
    ] = None,
    distillation: Annotated[
        float, typer.Option(help="The teacher's part of the loss, 0 to 1.")
    ] = DEFAULTS.distillation,
    temperature: Annotated[
        float, typer.Option(help="What the teacher's answers are softened by.")
    ] = DEFAULTS.temperature,
    teacher_on: Annotated[
        str,
        typer.Option(
            help=f"What the teacher answers to: {' or '.join(TEACHER_ON)} (all images once, or each batch as "
            "augmented)."
        ),
    ] = DEFAULTS.teacher_on,
    ema: Annotated[
        float,
        typer.Option(
            help="Measure and pack an average of the weights; how much of it stays at each step, such as 0.999."
        ),
    ] = DEFAULTS.ema,
    validation: Annotated[
        int, typer.Option(help="Training images to keep apart and measure after each epoch, in place of test images.")
    ] = DEFAULTS.validation,
    votes_from: Annotated[
        float, typer.Option(help="Fraction of the run from which on votes stand behind the popcounts.")
    ] = DEFAULTS.votes_from,
    branch_scale: Annotated[
        float, typer.Option(help="BatchNorm scale of the blocks' branches at the start; that of the shortcuts is 1.")
    ] = DEFAULTS.branch_scale,
    shift: Annotated[
        int, typer.Option(min=0, max=16, help="Most pixels that training images are moved by, at random.")
    ] = DEFAULTS.shift,
    clipping: Annotated[
        float,
        typer.Option(
            min=0, help="Largest gradient of a unit's weights, as a part of their norm, such as 0.02; 0: any."
        ),
    ] = DEFAULTS.clipping,
    erase: Annotated[
        int, typer.Option(min=0, max=16, help="Side of a square that is blanked in half of the training images.")
    ] = DEFAULTS.erase,
    window: Annotated[
        str | None,
        typer.Option(
            help="Of --division rms: D in root mean squares of the sums, at the start and at the end."
            '  [default: "1.3:1.3"]',
            show_default=False,
        ),
    ] = None,
    seed: int = DEFAULTS.seed,
    resolutions: Annotated[
        str,
        typer.Option(help='Image sizes as "start:size,...", start being a fraction of the run: "0:16,0.4:24,0.7:32".'),
    ] = "0:32",
    compile: Annotated[
        bool, typer.Option(help="torch.compile, where the kernels for CPUs (brevitas_models/kernels) do not fit.")
    ] = DEFAULTS.compile,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Compute in bfloat16: fast where the processor has it.")
    ] = DEFAULTS.bf16,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    output: Annotated[
        Path | None, typer.Option(help="Folder of the run.  [default: runs/<model>-<strategy>]", show_default=False)
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Checkpoint to start from, or a run's state.pt.")] = None,
    save_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds between two saves of the state; every epoch ends with one.")
    ] = 300.0,
    reschedule: Annotated[
        bool,
        typer.Option(
            "--reschedule", help="Go on with a run under other --epochs, --lr or --resolutions than it was begun with."
        ),
    ] = False,
) -> None:
    """Train a network. A run that was stopped goes on where it was when called again with the same --output.

    On several GPUs: torchrun --nproc-per-node N -m flow.cli train --device cuda ...
    """
    if recipe is not None:
        train_recipe(context, recipe, length, data, device, save_seconds, seed)
        return
    network = network_config(
        model,
        strategy,
        width=width,
        division=division,
        train_alpha=train_alpha,
        voter=voter,
        threshold=threshold,
        shortcut=shortcut,
        padding=padding,
        slopes=slopes,
        norm=norm,
        activation_scale=activation_scale,
        activation_bits=activation_bits,
        residual_bits=residual_bits,
        residual_fraction=residual_fraction,
    )
    refuse_given(context, ["length"], "is of a recipe: give --recipe too, or leave it out")
    if teacher is None:
        needs = "says how a teacher is learned from: give --teacher too"
        refuse_given(context, ("distillation", "temperature", "teacher_on"), needs)
    if window is not None and network.division != "rms":
        raise FlowError(f"--window is of --division rms, not of {network.division}: give that, or leave --window out")
    config = TrainConfig(
        epochs=epochs,
        batch=batch,
        lr=lr,
        seed=seed,
        label_smoothing=label_smoothing,
        resolutions=parse_resolutions(resolutions),
        votes_from=votes_from,
        branch_scale=branch_scale,
        shift=shift,
        clipping=clipping,
        erase=erase,
        ema=ema,
        validation=validation,
        teacher_on=known("teacher_on", teacher_on, TEACHER_ON),
        distillation=distillation,
        temperature=temperature,
        compile=compile,
        bf16=bf16,
        window=DEFAULTS.window if window is None else parse_window(window),
    )
    folder = output or Path("runs") / f"{model}-{network.strategy}"

    from brevitas_models.checkpoint import from_training_state, load_checkpoint, load_trained
    from brevitas_models.data import load_cifar
    from brevitas_models.train import Trainer
    from brevitas_models.world import join
    from flow.cli.progress import TrainingProgress
    from flow.cli.recipes import reporter

    start = load_trained(init) if init else None
    world, target = join(torch_device(device))
    training, test = load_cifar(data, "train"), load_cifar(data, "test")
    network = network.model_copy(update={"classes": training.classes})
    learned_from = (load_checkpoint(teacher)[0], str(teacher)) if teacher else None
    trainer = Trainer(network, config, training, test, folder, target, save_seconds, world, learned_from)
    alone = locked(folder, "training") if world.first else nullcontext()
    with alone, TrainingProgress(trainer.steps, quiet=not world.first) as progress:
        if trainer.resume(reschedule):
            progress.say(f"going on with {folder} at step {trainer.step} of {trainer.steps}")
        elif start is not None:
            trainer.start_from(start[0], str(init), start[1])
        if trainer.compiles and trainer.step < trainer.steps:
            progress.say("compiling: the first step takes a minute or two")
        trainer.run(reporter(progress))
    if not world.first:
        return
    packed, metadata = from_training_state(trainer.state_file)
    measured = trainer.measured()
    path = write_checkpoint(
        folder, packed, metadata.model_copy(update={"accuracy": measured, "validation": trainer.measured_apart()})
    )
    typer.echo(
        f"top-1 {measured.top1:.2f} %, top-5 {measured.top5:.2f} % on {measured.images} test images, {measured.data}"
    )
    typer.echo(f"wrote {path}")


def train_recipe(
    context: typer.Context, recipe: str, length: str, data: Path, device: str, save_seconds: float, seed: int
) -> None:
    """A row of the table, into runs/LENGTH/RECIPE."""
    given = [name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"]
    others = sorted(set(given) - {"recipe", "length", "data", "device", "save_seconds", "seed"})
    if others:
        raise FlowError(f"--{others[0].replace('_', '-')} is what a recipe says: leave it out, or --recipe")

    from brevitas_models.data import load_cifar
    from brevitas_models.recipes import configs
    from brevitas_models.results import FOLDER
    from flow.cli.recipes import RUNS, run_recipe

    configs(recipe, length)
    target = torch_device(device)
    run_recipe(
        recipe, length, (load_cifar(data, "train"), load_cifar(data, "test")), RUNS, FOLDER, target, save_seconds, seed
    )


def parse_window(text: str) -> tuple[float, float]:
    """ "3:0.9" to (3.0, 0.9)."""
    try:
        first, last = (float(part) for part in text.split(":"))
    except ValueError:
        first = last = 0.0
    if not (0 < first < math.inf and 0 < last < math.inf):
        raise FlowError(f'--window {text!r} is not two numbers above 0, of the form "3:0.9"')
    return first, last


def parse_resolutions(text: str) -> tuple[tuple[float, int], ...]:
    """ "0:16,0.5:32" to ((0.0, 16), (0.5, 32))."""
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return tuple((float(start), int(size)) for start, size in pairs)
    except ValueError:
        raise FlowError(f'--resolutions {text!r} is not of the form "0:16,0.4:24,0.7:32"') from None

"""``flow ptq``: what hardware can take of a network that was trained otherwise: votes, or a constant scale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import DEFAULT_DATA, DataOption, VoterOption, same_classes, write_checkpoint


def ptq(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of strategy none.")],
    output: Annotated[Path, typer.Option(help="Folder for checkpoint.popbin and card.md.")],
    voter: VoterOption = None,
    calibration: Annotated[
        int,
        typer.Option(
            min=0, help="Training images to estimate the BatchNorm statistics again on; 0 keeps the old ones."
        ),
    ] = 0,
    data: DataOption = DEFAULT_DATA,
    images: Annotated[int, typer.Option(min=1, help="Test images to measure on, taken at even distances.")] = 10_000,
) -> None:
    """Make a checkpoint of the same weights, nothing trained: of strategy ptq, with majority votes after the popcounts;
    or, of an xnornet18 with a map of activation scales, with their mean.
    """
    from brevitas_models.checkpoint import Accuracy, load_checkpoint
    from brevitas_models.data import load_cifar
    from brevitas_models.evaluate import accuracy
    from brevitas_models.networks import converted, settle_statistics

    source, metadata = load_checkpoint(checkpoint, strategy="none")
    mapped = source.config.activation_scale == "map"
    changes = {"activation_scale": "mean"} if mapped else {"strategy": "ptq"}
    network = converted(source, **changes, **({"voter": voter} if voter else {}))
    test = same_classes(source.config, load_cifar(data, "test")).spread(images)
    command = f"flow ptq {checkpoint} --output {output}" + (f" --voter '{voter}'" if voter else "")
    if calibration:
        settle_statistics(network, load_cifar(data, "train").spread(calibration).images)
        command += f" --calibration {calibration}"
    top1, top5 = accuracy(network, test)
    changes = {
        "network": network.config,
        "command": command,
        "earlier": [*metadata.earlier, metadata.command],
        "accuracy": Accuracy(top1=top1, top5=top5, images=len(test), data=test.source),
    }
    output.mkdir(parents=True, exist_ok=True)
    path = write_checkpoint(output, network, metadata.model_copy(update=changes))
    typer.echo(f"top-1 {top1:.2f} %, top-5 {top5:.2f} % on {len(test)} test images, {test.source}")
    typer.echo(f"wrote {path}")

"""``flow pack``: makes a checkpoint of a run as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import DEFAULT_DATA, DataOption, same_classes, write_checkpoint


def pack(
    run: Annotated[Path, typer.Argument(help="Folder of a flow train run, finished or not.")],
    data: DataOption = DEFAULT_DATA,
    images: Annotated[int, typer.Option(min=1, help="Test images to measure on.")] = 10_000,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to.  [default: the run's]", show_default=False)
    ] = None,
) -> None:
    """Make checkpoint.popbin and its model card from the present state of a run; the card says how far it came."""
    from brevitas_models.checkpoint import Accuracy, from_training_state
    from brevitas_models.data import load_cifar
    from brevitas_models.evaluate import accuracy

    network, metadata = from_training_state(run / "state.pt")
    test = same_classes(network.config, load_cifar(data, "test")).spread(images)
    top1, top5 = accuracy(network, test)
    measured = Accuracy(top1=top1, top5=top5, images=len(test), data=test.source)
    folder = output or run
    folder.mkdir(parents=True, exist_ok=True)
    path = write_checkpoint(folder, network, metadata.model_copy(update={"accuracy": measured}))
    typer.echo(
        f"epoch {metadata.epochs:g} of {metadata.epochs_planned}: top-1 {top1:.2f} %, top-5 {top5:.2f} % "
        f"on {len(test)} test images, {test.source}"
    )
    typer.echo(f"wrote {path}")

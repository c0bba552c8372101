"""``flow eval``: accuracy of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flow.cli.common import (
    DEFAULT_DATA,
    DataOption,
    ModelOption,
    StrategyOption,
    known,
    network_config,
    refuse_given,
    same_classes,
)
from flow.errors import FlowError

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from brevitas_models.data import ImageSet

Execute = Callable[["np.ndarray"], "np.ndarray"]
"""Images uint8 [N, 32, 32, 3] to logits [N, classes]."""


def torch_backend(network: nn.Module) -> Execute:
    """Return the network as PyTorch computes it."""
    from brevitas_models.evaluate import logits_of

    return lambda images: logits_of(network, images)


def golden_backend(network: nn.Module) -> Execute:
    """Return the network as its integer graph computes it."""
    from flow.compile import integer_graph
    from flow.golden import Golden

    return Golden(integer_graph(network)).execute


BACKENDS: dict[str, Callable[[nn.Module], Execute]] = {"torch": torch_backend, "golden": golden_backend}
BATCH = 250
SHOWN = 20  # images whose class is another


def evaluate(
    context: typer.Context,
    build: Annotated[
        Path | None, typer.Argument(metavar="[BUILD]", help="Folder of a finished build, instead of a checkpoint.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="File to evaluate instead of the bundled one.")] = None,
    model: ModelOption = "bireal18",
    strategy: StrategyOption = None,
    width: Annotated[
        int | None, typer.Option(help="Channels of the first stage of the bundled one; by default the full width.")
    ] = None,
    voter: Annotated[str | None, typer.Option(help="Voter that the bundled one was trained with.")] = None,
    shortcut: Annotated[str | None, typer.Option(help="Shortcut across stages of the bundled one.")] = None,
    norm: Annotated[str | None, typer.Option(help="What follows the sums of the bundled one's binary blocks.")] = None,
    data: DataOption = DEFAULT_DATA,
    images: Annotated[int, typer.Option(min=1, help="Test images, taken at even distances.")] = 10_000,
    backend: Annotated[str, typer.Option(help=f"What computes the logits: {', '.join(BACKENDS)}.")] = "torch",
    test: Annotated[
        Path | None, typer.Option(help="Of a build: test images of its own, a .npy of uint8 [N, H, W, C].")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Of a build: their classes, a .npy of integers [N].")] = None,
) -> None:
    """Measure top-1 and top-5 of a checkpoint, or of a build beside the network it was made of.

    Without a data set, on the images that ship with the package.
    """
    known("backend", backend, BACKENDS)
    if build is not None:
        of_checkpoints = ("checkpoint", "model", "strategy", "width", "voter", "shortcut", "norm", "backend")
        refuse_given(context, of_checkpoints, "is of a checkpoint, and a build was given: leave it out")
        _of_build(build, _own_images(build, test, labels, context) or test_images(data), images)
        return
    refuse_given(context, ("test", "labels"), "is of a build: name its folder")
    if checkpoint is None:
        config = network_config(model, strategy, width=width, voter=voter, shortcut=shortcut, norm=norm)
        from brevitas_models.zoo import bundled

        checkpoint = bundled(config)
    else:
        names = ("model", "strategy", "width", "voter", "shortcut", "norm")
        refuse_given(context, names, "names a bundled network, and --checkpoint is another: give one of them")
    if not checkpoint.is_file():
        raise FlowError(f"no checkpoint at {checkpoint}")

    from brevitas_models.checkpoint import load_checkpoint
    from brevitas_models.metrics import top1_top5

    network, metadata = load_checkpoint(checkpoint)
    shown = same_classes(metadata.network, test_images(data)).spread(images)
    top1, top5 = top1_top5(logits_in_batches(BACKENDS[backend](network), shown.images), shown.labels)
    config = metadata.network
    typer.echo(f"{config.model} {config.strategy} width {config.width}, {checkpoint}, backend {backend}")
    typer.echo(f"top-1 {top1:.2f} %, top-5 {top5:.2f} % on {len(shown)} test images, {shown.source}")


def _own_images(build: Path, test: Path | None, labels: Path | None, context: typer.Context) -> ImageSet | None:
    """Return the test set that was given as files for the network of a build; None without."""
    from brevitas_models.data import ImageSet
    from flow.images import load_images, load_labels
    from flow.workspace import Workspace

    if test is None or labels is None:
        if test or labels:
            raise FlowError("--test are images and --labels their classes: give both")
        if "file" in Workspace(build).load_json("export"):
            raise FlowError(f"{build} is of a QONNX file, whose test set is not known: give --test and --labels")
        return None
    refuse_given(context, ("data",), "is another test set than --test: give one of them")
    graph = Workspace(build).load_graph("integer")
    found = load_images(test, tuple(graph.get_tensor_shape(graph.graph.input[0].name)[1:]))
    return ImageSet(found, load_labels(labels, len(found)), f"{test}, labels of {labels}")


def _of_build(build: Path, images: ImageSet, count: int) -> None:
    import flow

    chosen = images.spread(count)
    found = flow.load(build).accuracy(chosen.images, chosen.labels, images.source)
    for what, name in (("the network", "network"), ("the integers", "integers")):
        typer.echo(f"{what:12s} top-1 {found[name]['top1']:.2f} %, top-5 {found[name]['top5']:.2f} %")
    typer.echo(f"on {len(chosen)} test images, {images.source}; another class in {len(found['other_class'])}")
    for row in found["other_class"][:SHOWN]:
        typer.echo("  image {image}: class {network}, of the integers {integers}; label {label}".format(**row))
    if (more := len(found["other_class"]) - SHOWN) > 0:
        typer.echo(f"  and {more} more: all by flow.load({str(build)!r}).accuracy(images, labels)")


def test_images(data: Path) -> ImageSet:
    """Return the test set at ``data``; the packaged samples when ``data`` is the default and not there."""
    from brevitas_models.data import load_cifar, load_samples

    if data == DEFAULT_DATA and not data.exists():
        return load_samples()
    return load_cifar(data, "test")


def logits_in_batches(execute: Execute, images: np.ndarray) -> np.ndarray:
    """Return the logits of all images, with a progress bar on a terminal."""
    import numpy as np
    from rich.progress import track

    starts = range(0, len(images), BATCH)
    parts = track(starts, "images", transient=True, disable=len(starts) < 2 or not _on_terminal())
    return np.concatenate([execute(images[start : start + BATCH]) for start in parts])


def _on_terminal() -> bool:
    from rich.console import Console

    return Console().is_terminal

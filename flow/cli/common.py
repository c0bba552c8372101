"""Common parts of the commands: options, and the tables that names are looked up in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flow.errors import FlowError, UnknownNameError

if TYPE_CHECKING:
    from brevitas_models.checkpoint import Metadata
    from brevitas_models.config import NetworkConfig
    from brevitas_models.data import ImageSet

ModelOption = Annotated[str, typer.Option(help="Network, such as bireal18.")]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        help="none (popcount baseline), ptq (votes without training), simple-qat, qat (PopBin votes).  [default: qat, "
        "of networks without votes none]",
        show_default=False,
    ),
]
PixelsOption = Annotated[
    str, typer.Option(help='Of a QONNX file: what the network\'s input is for pixels 0 and 255, such as "-1,1".')
]
FixedPointOption = Annotated[
    int | None,
    typer.Option(
        min=4,
        max=16,
        help="Of a QONNX file: bits of the fixed point that real tensors become.  [default: as few as change no class]",
    ),
]
VoterOption = Annotated[
    str | None, typer.Option(help="exact, hierarchical(G), hierarchical(G,-+) with a rule for ties, maj3 or sample(R).")
]
DataOption = Annotated[
    Path,
    typer.Option(
        envvar="FLOW_DATA", help="CIFAR-10 or CIFAR-100: a folder or archive in the python, binary or JPEG format."
    ),
]
DEFAULT_DATA = Path("data")


def network_config(model: str, strategy: str | None, **fields) -> NetworkConfig:
    """Return a checked NetworkConfig; fields that are None, and the strategy, take the model's default.

    Raises:
        UnknownNameError: no such model or strategy, or no such value of a field that has a list of them.
        ValidationError: (pydantic's) another field is out of range, or the fields do not go together.
    """
    from brevitas_models.config import (
        ACTIVATION_SCALES,
        DEFAULT_STRATEGY,
        DIVISIONS,
        FULL_WIDTH,
        MODELS,
        NORMS,
        PADDINGS,
        SHORTCUTS,
        SLOPES,
        STRATEGIES,
        THRESHOLDS,
        NetworkConfig,
    )

    known("model", model, MODELS)
    fields = {"width": FULL_WIDTH[model], **{name: value for name, value in fields.items() if value is not None}}
    for kind, table in (
        ("division", DIVISIONS),
        ("shortcut", SHORTCUTS),
        ("padding", PADDINGS),
        ("threshold", THRESHOLDS),
        ("slopes", SLOPES),
        ("norm", NORMS),
        ("activation_scale", ACTIVATION_SCALES),
    ):
        if kind in fields:
            known(kind, fields[kind], table)
    strategy = known("strategy", strategy or DEFAULT_STRATEGY[model], STRATEGIES)
    return NetworkConfig(model=model, strategy=strategy, **fields)


def same_classes(config: NetworkConfig, images: ImageSet) -> ImageSet:
    """Return ``images``, if they are of the classes that the network tells apart.

    Raises:
        FlowError: they are of other ones.
    """
    if config.classes != images.classes:
        raise FlowError(
            f"the network has {config.classes} classes, {images.source} has {images.classes}: give the data it was "
            "trained on"
        )
    return images


def known(kind: str, name: str, table) -> str:
    """Return ``name``, if it is in ``table``.

    Raises:
        UnknownNameError: it is not; ``kind`` says what it should be.
    """
    if name not in table:
        raise UnknownNameError(kind, name, table)
    return name


def refuse_given(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Refuse options that would be ignored.

    Raises:
        FlowError: one of the parameters ``names`` stands on the command line.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = next(parameter for parameter in context.command.params if parameter.name == name)
            raise FlowError(f"{option.opts[0]} {why}")


def write_checkpoint(folder: Path, network, metadata: Metadata) -> Path:
    """Write ``checkpoint.popbin`` and ``card.md``; return the path of the checkpoint."""
    from brevitas_models.card import model_card
    from brevitas_models.checkpoint import SUFFIX, save_checkpoint

    path = folder / f"checkpoint{SUFFIX}"
    stored = save_checkpoint(path, network, metadata)
    partial = path.with_name("card.part")
    partial.write_text(model_card(stored), encoding="utf-8")
    partial.replace(path.with_name("card.md"))
    return path


def torch_device(name: str):
    """Return a torch device that is there.

    Raises:
        FlowError: torch knows no such device, or this machine has none.
    """
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise FlowError(f"device {name!r} cannot be used ({reason}): take --device cpu") from error
    return device


def parse_range(text: str) -> tuple[float, float]:
    """Return the numbers of a range: (-1.0, 1.0) of "-1,1".

    Raises:
        FlowError: it has another form, or the first is not smaller.
    """
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise FlowError(f'--pixels {text!r} is not of the form "0,1"') from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise FlowError(f"--pixels {text!r}: give two finite numbers, the first smaller")
    return low, high

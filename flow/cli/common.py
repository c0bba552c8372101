"""What commands share: options, and the tables that names are looked up in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flow.errors import FlowError, UnknownNameError

if TYPE_CHECKING:
    from brevitas_models.checkpoint import Metadata
    from brevitas_models.config import NetworkConfig

ModelOption = Annotated[str, typer.Option(help="Network, such as bireal18.")]
StrategyOption = Annotated[str, typer.Option(help="none (popcounts kept) or qat (PopBin votes).")]
DataOption = Annotated[
    Path, typer.Option(envvar="FLOW_DATA", help="CIFAR-10: a folder or archive in the python, binary or JPEG format.")
]
DEFAULT_DATA = Path("data")


def network_config(model: str, strategy: str, **fields) -> NetworkConfig:
    """A checked NetworkConfig.

    Raises:
        UnknownNameError: no such model or strategy; pydantic's ValidationError: another field is out of range.
    """
    from brevitas_models.config import MODELS, STRATEGIES, NetworkConfig

    known("model", model, MODELS)
    known("strategy", strategy, STRATEGIES)
    return NetworkConfig(model=model, strategy=strategy, **fields)


def known(kind: str, name: str, table) -> str:
    """``name``, if it is in ``table``."""
    if name not in table:
        raise UnknownNameError(kind, name, table)
    return name


def write_checkpoint(folder: Path, network, metadata: Metadata) -> Path:
    """Writes ``checkpoint.popbin`` and ``card.md``."""
    from brevitas_models.card import model_card
    from brevitas_models.checkpoint import SUFFIX, save_checkpoint

    path = folder / f"checkpoint{SUFFIX}"
    stored = save_checkpoint(path, network, metadata)
    path.with_name("card.md").write_text(model_card(stored), encoding="utf-8")
    return path


def torch_device(name: str):
    """A torch device that is there.

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

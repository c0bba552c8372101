"""The checkpoints that ship with the package, and a model card beside each.

A name says what differs from the model's defaults: ``bireal18-qat``, ``reactnet18-qat-w16-maj3``.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..config import FULL_WIDTH, NetworkConfig
from ..errors import ModelError

FOLDER = Path(__file__).parent


def checkpoint_name(config: NetworkConfig) -> str:
    """Stem of the bundled checkpoint of such a network."""
    parts = [config.model, config.strategy]
    parts += [f"w{config.width}"] * (config.width != FULL_WIDTH.get(config.model))
    for name in ("voter", "threshold", "shortcut", "padding", "slopes"):
        value = getattr(config, name)
        if value != NetworkConfig.model_fields[name].default:
            parts.append(re.sub(r"\W+", "", value.replace("+", "p").replace("-", "m")))
    for name, short in (("norm", "norm"), ("activation_scale", "k"), ("activation_bits", "a")):
        value = getattr(config, name)
        if value != NetworkConfig.model_fields[name].default:
            parts.append(f"{short}{value}".replace("-", ""))
    return "-".join(parts)


def bundled(config: NetworkConfig) -> Path:
    """The checkpoint of a network with the model, strategy, width, voter, shortcut, padding and norm of ``config``.

    Raises:
        ModelError: there is none; the message lists what there is.
    """
    name = checkpoint_name(config)
    path = FOLDER / f"{name}.popbin"
    if not path.is_file():
        there = ", ".join(available()) or "none at all"
        raise ModelError(f"no bundled checkpoint {name} (there is {there}): train one and give --checkpoint")
    return path


def resolve(
    model: str,
    strategy: str,
    width: int | None = None,
    voter: str | None = None,
    shortcut: str | None = None,
    padding: str | None = None,
    norm: str | None = None,
) -> Path:
    """Return the bundled checkpoint to build such a network from; None is the model's default.

    Votes that were not trained start from the network with popcounts; a voter that was not trained from the exact one.

    Raises:
        ModelError: there is none; the message lists what there is.
    """
    wanted = {
        "model": model,
        "strategy": "none" if strategy == "ptq" else strategy,
        "width": width or FULL_WIDTH[model],
        "shortcut": shortcut or "conv8",
        "padding": padding or "minus_one",
        "norm": norm or "bn",
    }
    if voter and strategy != "ptq":
        trained = NetworkConfig(**wanted, voter=voter)
        if (FOLDER / f"{checkpoint_name(trained)}.popbin").is_file():
            return bundled(trained)
    return bundled(NetworkConfig(**wanted))


def available() -> list[str]:
    """Stems of all bundled checkpoints."""
    return sorted(path.stem for path in FOLDER.glob("*.popbin"))

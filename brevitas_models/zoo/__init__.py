"""The checkpoints that ship with the package: ``<model>-<strategy>.popbin`` and its model card beside it."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError

FOLDER = Path(__file__).parent


def bundled(model: str, strategy: str) -> Path:
    """The checkpoint of ``model`` trained with ``strategy``.

    Raises:
        ModelError: there is none; the message lists what there is.
    """
    path = FOLDER / f"{model}-{strategy}.popbin"
    if not path.is_file():
        there = ", ".join(available()) or "none at all"
        raise ModelError(f"no bundled checkpoint of {model} {strategy} (there is {there}): train one and give --checkpoint")
    return path


def available() -> list[str]:
    """``<model>-<strategy>`` of each bundled checkpoint."""
    return sorted(path.stem for path in FOLDER.glob("*.popbin"))

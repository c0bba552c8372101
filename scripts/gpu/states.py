"""Training states that travel: whole where there is room, or with fewer bits where there is not.

A state of the full network is 134 MB: 11.2 million weights and two moments of each. What a file of 16 MiB can take is
kept:

    exact   all of it
    half    weights as float16
    byte    weights in 8 bits, a sign and the root of the magnitude, so that small ones are as good as large ones

Weights are those of binary convolutions; all others are whole. Below exact, signs are never changed, so the votes are
the same; the first moments of parameters of more than SMALL elements are zero, which Adam makes up for within some ten
steps, and their second moments are products of a row and a column (Shazeer and Stern, Adafactor, 2018, section 3). An
average of the weights begins anew.
"""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path

import torch
from torch import Tensor

from brevitas_models.blocks import is_binary_weight

LEVELS = ("exact", "half", "byte")
SMALL = 4096  # elements
CODES = 128
MOST_COMPRESSION = 1.5  # of random numbers, little: no time is lost on what will not fit
LEAST_HALF = 2.0**-24  # the smallest number above 0


def write_state(source: Path, target: Path, room: int, weights_only: bool = False) -> str | None:
    """Writes the state ``source`` as ``target``, whole or not at all, at the best level of at most ``room`` bytes.

    ``weights_only``: without the optimizer's moments, for a finished run that another one starts from. Returns the
    level; None if there is no room at all, and then ``target`` is left as it is.

    Raises:
        OSError: the disk is full, say; an older ``target`` stays.
    """
    state = torch.load(source, map_location="cpu", weights_only=True)
    if weights_only:
        average = state.pop("average", {})
        state |= {"optimizer": {}, "model": {**state["model"], **average}}
    for level in LEVELS:
        content = _bytes(state if level == "exact" else reduced(state, level), room)
        if content is not None:
            partial = target.with_suffix(".part")
            try:
                partial.write_bytes(content)
                os.replace(partial, target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            return level
    return None


def read_state(path: Path) -> dict:
    """The training state in a file of write_state, as Trainer.resume takes it."""
    return restored(torch.load(io.BytesIO(zlib.decompress(path.read_bytes())), weights_only=True))


def _bytes(state: dict, room: int) -> bytes | None:
    """``state`` as bytes, if there are no more than ``room``."""
    content = io.BytesIO()
    torch.save(state, content)
    if content.tell() > MOST_COMPRESSION * room:
        return None
    packed = zlib.compress(content.getbuffer(), 1)
    return packed if len(packed) <= room else None


def reduced(state: dict, level: str) -> dict:
    """``state`` with fewer bits; restored() gives back what is left of it."""
    if level not in LEVELS[1:]:
        raise ValueError(f"level {level!r} is unknown: use {' or '.join(LEVELS[1:])}")
    result = {name: value for name, value in state.items() if name not in ("average", "model", "optimizer")}
    result["model"] = {
        name: _reduced(value, level) if is_binary_weight(name) else value for name, value in state["model"].items()
    }
    optimizer = state["optimizer"]
    if optimizer:
        moments = {index: _without_moments(fields) for index, fields in optimizer["state"].items()}
        optimizer = {**optimizer, "state": moments}
    what = "weights in 16 bits" if level == "half" else "weights in 8 bits"
    if optimizer:
        at = f"a stop at step {state['step']}, with {what} and without first moments"
        result["earlier"] = [*state.get("earlier", []), at]
    return {**result, "optimizer": optimizer}


def restored(state: dict) -> dict:
    """A state in full size; of one that was not reduced, itself."""
    model = {name: _restored(value) for name, value in state["model"].items()}
    optimizer = state["optimizer"]
    if optimizer:
        moments = {index: _with_moments(fields) for index, fields in optimizer["state"].items()}
        optimizer = {**optimizer, "state": moments}
    return {**state, "model": model, "optimizer": optimizer}


def _reduced(value: Tensor, level: str) -> dict:
    if level == "half":
        half = value.half()
        return {"half": torch.where((half == 0) & (value < 0), -LEAST_HALF, half).half()}
    peak = value.abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
    codes = ((value.abs() / peak).sqrt() * CODES).floor().clamp(0, CODES - 1)
    return {"codes": (codes + CODES * (value < 0)).to(torch.uint8), "peak": peak}


def _restored(value: Tensor | dict) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if "half" in value:
        return value["half"].float()
    codes = value["codes"].int()
    magnitude = ((codes % CODES + 0.5) / CODES) ** 2 * value["peak"]
    return torch.where(codes >= CODES, -magnitude, magnitude)


def _without_moments(fields: dict) -> dict:
    second = fields["exp_avg_sq"]
    if second.numel() <= SMALL:
        return fields
    rows = second.reshape(len(second), -1)
    layout = {"shape": list(second.shape), "strides": list(second.stride())}
    return {"step": fields["step"], "rows": rows.mean(1), "columns": rows.mean(0), **layout}


def _with_moments(fields: dict) -> dict:
    if "rows" not in fields:
        return fields
    rows, columns = fields["rows"], fields["columns"]
    second = rows[:, None] * columns[None] / rows.mean().clamp_min(torch.finfo(torch.float32).tiny)
    second = second.reshape(fields["shape"])
    layout = torch.empty_strided(fields["shape"], fields["strides"])  # a fused optimizer wants the parameter's own
    second = layout.copy_(second)
    return {"step": fields["step"], "exp_avg": torch.zeros_like(second), "exp_avg_sq": second}

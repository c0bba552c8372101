"""What one file came to, by FINN and by this flow: the row of the table as figures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .progress import Progress

TIE = 1e-4  # of the spread: two largest outputs that are no further apart are equal


def row_of(folder: Path, tools: Iterable[str]) -> dict:
    """Return the row of a job's folder, in which each tool has ended."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    reference = np.load(folder / "reference.npy")
    fields = {key: job[key] for key in ("name", "group", "residual", "count")}
    return {**fields, **{tool: result_of(folder, tool, reference) for tool in tools}}


def result_of(folder: Path, tool: str, reference: np.ndarray) -> dict:
    """Return how far a tool came with a file, in which time, with which outputs and estimate.

    ``state``: done; stopped, with ``step`` and ``error``; limit (of time) or crashed, with the ``step`` it was in.
    """
    end = json.loads((folder / f"{tool}.end.json").read_text(encoding="utf-8"))
    progress = Progress(folder / f"{tool}.json")
    if progress.path.exists():
        progress.attempts = json.loads(progress.path.read_text(encoding="utf-8"))["attempts"]
    if not progress.attempts:
        return {"state": end["ended"], "step": "start", "seconds": 0.0}
    best = progress.attempts[progress.best()]
    found = {"state": "done", "tried": len(progress.attempts), "seconds": round(sum(best["seconds"].values()), 1)}
    if best["stopped"]:
        found |= {"state": "stopped", **best["stopped"]}
    elif "estimate" not in best:
        found |= {"state": end["ended"], "step": best["running"]}
    found |= {
        key: best[key] for key in ("input", "steps", "nodes", "estimate", "executed", "not_executed") if key in best
    }
    if "executed" in best:
        found["outputs"] = compared(np.load(folder / f"{tool}.npy"), reference)
    return found


def compared(outputs: np.ndarray, reference: np.ndarray) -> dict:
    """Return how outputs [N, elements] differ from the file's own.

    ``difference``: the largest, as a part of the spread of all; ``other``: frames whose largest output is another one,
    where no tie is, None of a single output.
    """
    if outputs.shape != reference.shape:
        return {"elements": outputs.shape[1], "expected": reference.shape[1]}
    if not np.isfinite(outputs).all():
        return {"difference": None, "other": None}
    spread = float(np.ptp(reference)) or 1.0
    difference = float(np.abs(outputs - reference).max()) / spread
    if reference.shape[1] == 1:
        return {"difference": difference, "other": None}
    ordered = np.sort(reference, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > TIE * spread
    other = (outputs.argmax(axis=1) != reference.argmax(axis=1)) & clear
    return {"difference": difference, "other": int(other.sum())}

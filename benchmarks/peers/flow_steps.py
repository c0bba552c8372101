"""Takes ONNX files through this flow's steps, up to its plan. The counterpart of finn_steps.py.

    .venv/bin/python benchmarks/peers/flow_steps.py JOB_FOLDER ...

The folders are those of `jobs.prepare`. Written are flow.json (see `progress.Progress`) and flow.npy, the outputs of
the integer graph, with what the driver computes behind it, float64 [N, elements].
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from forks import each
from progress import Progress

import flow
from deploy.scores import scores
from flow.errors import FlowError
from flow.foreign import image_shape
from flow.images import load_images
from flow.inspection import load_foreign
from flow.normalise.tail import score_steps
from flow.plan.target import load_target

STEPS = ("export", "streamline", "plan")  # the next ones write and simulate hardware


def main() -> None:
    """Take every file of the command line through the steps."""
    each("flow", take)


def take(folder: Path) -> None:
    """Go through the steps with a job, and keep its outputs."""
    job = json.loads((folder / "job.json").read_text())
    progress = Progress(folder / "flow.json")
    found = progress.begin()
    options = {
        "onnx": folder / "network.onnx",
        "pixels": (-1.0, 1.0) if job["pixels"] == "bits" else tuple(map(float, job["pixels"].split(","))),
        "target": job["target"],
        "fps": job["fps"],
        "output": folder / "flow",
    }
    try:
        for step in STEPS:
            progress.run(step, lambda step=step: flow.build(first=step, last=step, **options))
            if step == "streamline":
                np.save(folder / "flow.npy", outputs(folder))
                found["executed"] = step
        found["estimate"] = estimate(folder, job["target"])
    except FlowError:
        pass  # the error is noted
    progress.write()


def outputs(folder: Path) -> np.ndarray:
    """Return what the driver gives of the job's frames, float64 [N, elements]."""
    result = flow.load(folder / "flow")
    frames = load_images(folder / "frames.npy", image_shape(load_foreign(folder / "network.onnx")))
    found = scores(result.golden(frames), score_steps(result.workspace.load_graph("integer")))
    return np.asarray(found, np.float64).reshape(len(frames), -1)


def estimate(folder: Path, target: str) -> dict:
    """Return the figures of the plan: its resources without the platform's share, and the cycles of a frame."""
    plan = json.loads((folder / "flow" / "report" / "plan.json").read_text())["plan"]
    used, platform = plan["resources"], load_target(target).platform
    return {
        "lut": round(used["lut"] - platform.lut),
        "bram18": round(2 * (used["bram36"] - platform.bram36)),
        "dsp": used["dsp"] - platform.dsp,
        "cycles": plan["cycles_per_frame"],
    }


if __name__ == "__main__":
    main()

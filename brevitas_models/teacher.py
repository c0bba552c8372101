"""A network whose answers another one learns beside the labels (Hinton et al., 2015)."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .cache import cached, digest
from .config import TrainConfig
from .evaluate import logits_of

PART = 5000  # images whose answers are kept together: a run that is stopped loses the last of them only


class Teacher:
    """Answers to the training images as they are, found before the first step, or to every batch as it is augmented.

    ``name`` says in the record of a run which network it is.
    """

    def __init__(self, network: torch.nn.Module, name: str, config: TrainConfig):
        self.network, self.name, self.config = network, name, config

    def prepare(self, images: np.ndarray, device: torch.device) -> None:
        """Finds the answers to ``images``, uint8 [N, 32, 32, 3], or makes ready for batches of them."""
        self.network.to(device, memory_format=torch.channels_last).eval()
        if self.config.teacher_on == "images":
            parts = [images[start : start + PART] for start in range(0, len(images), PART)]
            ask = logits_of if device.type == "cuda" else kept_logits  # which takes seconds there, and an hour here
            answers = np.concatenate([ask(self.network, part) for part in parts])
            self.found = torch.from_numpy(answers).float().to(device)
        else:
            self.ask = torch.compile(self.network, dynamic=False) if self.config.compile else self.network

    @torch.no_grad()
    def answers(self, index: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes] for the training images ``index``, which are augmented to ``pixels`` [B, 3, 32, 32]."""
        if self.config.teacher_on == "images":
            return self.found[index]
        with torch.autocast(pixels.device.type, torch.bfloat16) if self.config.bf16 else nullcontext():
            return self.ask(pixels.contiguous(memory_format=torch.channels_last)).float()


def kept_logits(network: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the logits of ``network`` for ``images``, from the cache where the same ones were found before."""
    state = [part for name, value in network.state_dict().items() for part in (name, _bytes(value))]
    code = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    layers = re.sub(r" at 0x[0-9a-f]+", "", repr(network))
    key = digest("answers", torch.__version__, layers, *state, *code, images.tobytes())
    folder = cached(f"answers-{key}", lambda scratch: np.save(scratch / "logits.npy", logits_of(network, images)))
    return np.load(folder / "logits.npy", allow_pickle=False)


def _bytes(value: torch.Tensor) -> bytes:
    return value.detach().cpu().contiguous().numpy().tobytes()


def distance(logits: torch.Tensor, answers: torch.Tensor, temperature: float) -> torch.Tensor:
    """What ``logits`` [N, classes] lack to the teacher's ``answers``: the cross-entropy of both softened, less its
    least value.

    That is the Kullback-Leibler divergence times temperature^2, which keeps its gradient's size (Hinton et al., 2015,
    section 2).
    """
    ours, theirs = (F.log_softmax(x / temperature, dim=1) for x in (logits, answers))
    return temperature**2 * F.kl_div(ours, theirs, reduction="batchmean", log_target=True)

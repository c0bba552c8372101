"""A network whose answers another one learns beside the labels (Hinton et al., 2015)."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F

from .config import TrainConfig
from .evaluate import logits_of


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
            self.found = torch.from_numpy(logits_of(self.network, images)).float().to(device)
        else:
            self.ask = torch.compile(self.network, dynamic=False) if self.config.compile else self.network

    @torch.no_grad()
    def answers(self, index: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes] for the training images ``index``, which are augmented to ``pixels`` [B, 3, 32, 32]."""
        if self.config.teacher_on == "images":
            return self.found[index]
        with torch.autocast(pixels.device.type, torch.bfloat16) if self.config.bf16 else nullcontext():
            return self.ask(pixels.contiguous(memory_format=torch.channels_last)).float()


def distance(logits: torch.Tensor, answers: torch.Tensor, temperature: float) -> torch.Tensor:
    """What ``logits`` [N, classes] lack to the teacher's ``answers``: the cross-entropy of both softened, less its
    least value.

    That is the Kullback-Leibler divergence times temperature^2, which keeps its gradient's size (Hinton et al., 2015,
    section 2).
    """
    ours, theirs = (F.log_softmax(x / temperature, dim=1) for x in (logits, answers))
    return temperature**2 * F.kl_div(ours, theirs, reduction="batchmean", log_target=True)

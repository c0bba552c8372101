"""The processes of one training: one, or as many as torchrun started."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from .errors import ModelError


@dataclass(frozen=True)
class World:
    """This process among ``size``; 0 is the one that measures, saves and reports."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Which of ``count`` items are this process's."""
        return slice(self.rank, count, self.size)

    def together(self, model: nn.Module, some_unused: bool = False) -> nn.Module:
        """``model`` with gradients that are the mean over all processes; its buffers are those of the first.

        ``some_unused``: not every step uses every parameter.
        """
        return (
            nn.parallel.DistributedDataParallel(model, find_unused_parameters=some_unused) if self.size > 1 else model
        )


ALONE = World()


def join(device: torch.device) -> tuple[World, torch.device]:
    """The world that torchrun's environment describes, and this process's own device in it; one process without it.

    Raises:
        ModelError: more processes than GPUs, or variables that torchrun would not set.
    """
    size = _number("WORLD_SIZE", least=1)
    if size == 1:
        return ALONE, device
    if device.type == "cuda":
        local = _number("LOCAL_RANK", least=0)
        if local >= torch.cuda.device_count():
            raise ModelError(
                f"process {local} of torchrun has no GPU: start at most {torch.cuda.device_count()} on this machine"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"WORLD_SIZE is {size}, and {str(error).splitlines()[0]}: start with torchrun, or unset it"
            ) from error
    return World(dist.get_rank(), size), device


def _number(variable: str, least: int) -> int:
    text = os.environ.get(variable) or str(least)
    if not text.isdigit() or int(text) < least:
        raise ModelError(f"{variable} is {text!r}, not a number that torchrun sets: unset it, or start with torchrun")
    return int(text)

"""Stands for a GPU that is not there: on torch's device "meta" tensors have shapes and types but no values.

A step of the trainer on it tells what a CPU cannot: a value that the host would wait for raises, as does an operation
on tensors of both sides; and what is copied between them is noted.
"""

from contextlib import ExitStack, contextmanager
from importlib import import_module
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")


class Generator:
    """Stands for a torch.Generator of the device."""

    device = META

    def __init__(self, device=None):
        pass

    def manual_seed(self, seed):
        return self


class Traffic(TorchDispatchMode):
    """Notes operations with tensors (scalars apart) of both sides, and how often each operation ran."""

    def __init__(self):
        super().__init__()
        self.copies, self.counts = [], {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor) and x.dim()]
        if len({x.device.type for x in tensors}) > 1:
            self.copies.append(str(function))
        self.counts[str(function)] = self.counts.get(str(function), 0) + 1
        return out


@contextmanager
def meta_device():
    """Lets a Trainer be made for device "meta", its random numbers and its fused optimizer too."""
    randint = torch.randint
    supported = [*torch.utils._foreach_utils._get_fused_kernels_supported_devices(), "meta"]
    with ExitStack() as stack:
        for target, name, stand_in in (
            (torch, "Generator", Generator),
            (torch, "randint", lambda *args, generator=None, **kwargs: randint(*args, **kwargs)),
            (import_module("torch.optim.optimizer"), "_get_fused_kernels_supported_devices", lambda: supported),
        ):
            stack.enter_context(patch.object(target, name, stand_in))
        yield

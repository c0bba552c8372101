"""Adaptive gradient clipping, which stands in for BatchNorm in training (Brock et al., ICML 2021, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

LEAST_NORM = 1e-3  # of weights, so that those that begin at 0 can move


def norms(x: Tensor) -> Tensor:
    """Euclidean norm of the weights of each output, [O, 1, ...] of [O, ...]; of a vector, of all of it."""
    return torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())) or None, keepdim=True)


@torch.no_grad()
def clip_adaptively(parameters: Iterable[nn.Parameter], factor: float) -> None:
    """Shrinks gradients whose norm is more than ``factor`` of that of their weights, output by output, in place."""
    for parameter in parameters:
        if parameter.grad is not None:
            most = factor * norms(parameter).clamp_min(LEAST_NORM)
            parameter.grad.mul_((most / norms(parameter.grad).clamp_min(1e-6)).clamp_max(1.0))

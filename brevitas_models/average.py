"""An exponential average of a network's weights and BatchNorm statistics over the steps of its training."""

from __future__ import annotations

import copy

import torch
from torch import nn

from .networks import load_weights


class WeightAverage:
    """``network`` is the average: after each step ``decay`` of it and the rest of the weights as they are.

    Averages the float weights behind the signs, not the signs. The idea is Polyak and Juditsky's (1992).
    """

    def __init__(self, model: nn.Module, decay: float):
        self.network, self.decay = copy.deepcopy(model), decay

    def restart(self, model: nn.Module, state: dict | None = None) -> None:
        """Begins anew with the weights of ``model``, or goes on with a state dict of the average."""
        load_weights(self.network, model.state_dict())
        if state:
            load_weights(self.network, state, strict=False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Takes in the weights after ``step`` steps; the first ones are forgotten sooner, as the average begins with
        chance.
        """
        pairs = zip(self.network.state_dict().values(), model.state_dict().values(), strict=True)
        ours, theirs = zip(*(pair for pair in pairs if pair[0].is_floating_point()))
        torch._foreach_lerp_(ours, theirs, 1 - min(self.decay, (1 + step) / (10 + step)))

"""Where a chain of monotone nodes steps from one result to the next, found by bisection instead of a walk."""

from __future__ import annotations

import numpy as np

from .chain import RISING, evaluate_chain
from .rewrite import refuse

MONOTONE = ("Add", "Sub", "Mul", "Div", "BatchNormalization", "Neg", "Identity", "Relu", "Clip", "Max", "Min")
MONOTONE += ("Quant", "BipolarQuant", "MultiThreshold", *RISING)
SLOPED = ("LeakyRelu", "PRelu")  # monotone if no slope is negative
FACTORS = ("Elu", "Selu", "ThresholdedRelu")  # if alpha and gamma are not


def is_monotone(model, chain) -> bool:
    """Return whether every node of ``chain`` rises or falls with its input in each channel."""
    for node in chain:
        if node.op_type == "LeakyRelu":
            slopes = [next((a.f for a in node.attribute if a.name == "alpha"), 0.01)]
        elif node.op_type == "PRelu":
            slopes = model.get_initializer(node.input[1]).ravel()
        elif node.op_type in FACTORS:
            slopes = [a.f for a in node.attribute if a.name in ("alpha", "gamma")]
        else:
            slopes = []
        if node.op_type not in (*MONOTONE, *SLOPED) or min(slopes, default=0) < 0:
            return False
    return True


class Steps:
    """The results of a chain on all integers ``low..high`` of each channel, as the integers at which they change.

    ``falling`` [C]: the results fall with the integer; its opposite is then taken, so that they rise.
    ``levels`` [L]: the results that occur beside the least, ascending; ``first`` [L, C]: the least integer (or opposite
    of one) whose result is at least the level; one more than the largest where none is.
    """

    def __init__(self, model, chain, low: int, high: int, real, channels: int, unit: float, stride: int = 1):
        """``real(integers [K, C])`` returns the real values that enter the chain; results are multiples of ``unit``."""
        self._run = lambda integers: np.rint(
            evaluate_chain(model, chain, real(np.broadcast_to(integers, (len(integers), channels))), channels) / unit
        ).astype(np.int64)
        self.node, self.stride, self.count = chain[-1], stride, (high - low) // stride
        self.low, self.high = low, high
        ends = self._run(np.array([[low], [high]]))
        self.falling = ends[0] > ends[1]
        self.start = np.where(self.falling, -high, low)
        least, most = np.minimum(*ends), np.maximum(*ends)
        self.least, self.most = least, most
        self.levels = np.arange(least.min() + 1, most.max() + 1)
        self.first = self._bisect()

    def results(self, rising: np.ndarray) -> np.ndarray:
        """Return the results [K, C] on integers [K, C], of which channels that fall are given by their opposites."""
        return self._run(np.where(self.falling, -rising, rising))

    def _bisect(self) -> np.ndarray:
        shape = len(self.levels), len(self.falling)
        below, above = np.full(shape, -1), np.full(shape, self.count + 1)  # in steps from the start
        while (above - below > 1).any():
            middle = (below + above) // 2
            inside = np.clip(middle, 0, self.count)
            reached = self.results(self.start + self.stride * inside) >= self.levels[:, None]
            above, below = np.where(reached, middle, above), np.where(reached, below, middle)
        return self.start + self.stride * above

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return integers [K, C] at both sides of every step, and at both ends, and their results [K, C]."""
        last = self.start + self.stride * self.count
        integers = np.concatenate([self.first - self.stride, self.first, self.start[None], last[None]])
        integers = np.clip(integers, self.start, last)
        before = (self.first[None] <= integers[:, None]).sum(axis=1) + self.least.min()
        return integers, before

    def check(self, count: int = 512) -> None:
        """Compare the steps with the chain on ``count`` integers over the whole range.

        Raises:
            PassError: they differ: the chain is not monotone after all.
        """
        k = np.unique(np.linspace(0, self.count, min(count, self.count + 1)).astype(np.int64))[:, None]
        integers = self.start + self.stride * k
        expected = (self.first[None] <= integers[:, None]).sum(axis=1) + self.least.min()
        if (self.results(integers) != expected).any():
            raise refuse(self.node, "its results neither rise nor fall with what it quantizes in every channel")

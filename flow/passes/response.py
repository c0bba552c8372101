"""What a chain makes of the integers that enter it: where its results change, and the forms that equal it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .chain import evaluate_chain
from .integer import fit_multiply_shift
from .lines import BENT, fit_lines, flat_steps
from .rewrite import PassError
from .steps import Steps, is_monotone

MOST_VALUES = 1 << 21  # results that are computed one by one; of longer ranges the changes are found by bisection,
MOST_WALKED = 1 << 24  # unless the chain is not monotone
MOST_CHANGES = 1 << 12  # of a channel
MOST_THRESHOLDS = 31  # of a MultiThreshold: results of 5 bits, or of 4 that fall and rise
PART = 1 << 16
ROUNDED_BY_SIGN = ("UP", "DOWN", "ROUND_TO_ZERO", "HALF_UP", "HALF_DOWN")  # the other way below zero than above it


@dataclass(frozen=True)
class Response:
    """The results of a chain on the integers ``low..high`` (those ``stride`` apart), by channel.

    ``base`` [C]: the result of ``low``. ``rises``, ``falls`` [C, K]: the integers from which on the result is one more,
    or one less, ascending; one that changes by more stands there as often. ``high + 1`` fills the rows.
    """

    low: int
    high: int
    stride: int
    base: np.ndarray
    rises: np.ndarray
    falls: np.ndarray

    @classmethod
    def of(cls, model, chain, low: int, high: int, real, channels: int, unit: float, stride: int = 1):
        """Return the response of a chain whose results are multiples of ``unit``; ``real(integers [K, C])`` are the
        values that enter it. None where there are too many integers and the chain is not monotone.

        Raises:
            PassError: a monotone chain is not, or its results have too many values.
        """
        count = (high - low) // stride + 1

        def run(integers):
            values = real(np.broadcast_to(integers, (len(integers), channels)))
            return np.rint(evaluate_chain(model, chain, values, channels) / unit).astype(np.int64)

        if count * channels <= (MOST_VALUES if is_monotone(model, chain) else MOST_WALKED):
            integers = low + stride * np.arange(count)
            parts = range(0, count, max(1, PART // channels))
            step = max(1, PART // channels)
            return cls.walked(low, high, stride, np.concatenate([run(integers[s : s + step, None]) for s in parts]))
        if not is_monotone(model, chain):
            return None
        ends = run(np.array([[low], [high]]))
        if np.abs(ends[1] - ends[0]).max() > MOST_CHANGES:
            return None
        return cls._bisected(Steps(model, chain, low, high, real, channels, unit, stride), stride)

    @classmethod
    def walked(cls, low, high, stride, results) -> Response:
        """Return the response whose results [K, C] on all of the integers are known."""
        changes = np.diff(results, axis=0)
        sides = []
        for size in (np.maximum(changes, 0), np.maximum(-changes, 0)):
            channel, place = np.nonzero(size.T)
            times = size.T[channel, place]
            sides.append(_rows(np.repeat(channel, times), np.repeat(low + stride * (place + 1), times), results, high))
        return cls(low, high, stride, results[0], *sides)

    @classmethod
    def _bisected(cls, steps, stride):
        steps.check()
        low, high = steps.low, steps.high
        first = steps.first.T  # [C, L], of falling channels opposites
        unreached = steps.levels[None] > steps.most[:, None]
        always = steps.levels[None] <= steps.least[:, None]
        none = np.full_like(first, high + 1)
        rises = np.where(steps.falling[:, None] | unreached | always, none, first)
        falls = np.where(steps.falling[:, None] & ~unreached & ~always, stride - first, none)
        base = np.where(steps.falling, steps.most, steps.least)
        return cls(
            low, high, stride, base, _trimmed(np.sort(rises, axis=1), high), _trimmed(np.sort(falls, axis=1), high)
        )

    def repeated(self, times: int) -> Response:
        """Return the response of ``times`` as many channels."""
        return replace(
            self, **{name: np.repeat(getattr(self, name), times, axis=0) for name in ("base", "rises", "falls")}
        )

    @property
    def falling(self) -> np.ndarray:
        """Channels [C] whose results fall, and never rise."""
        return (self.falls <= self.high).any(axis=1) & ~(self.rises <= self.high).any(axis=1)

    def results(self, integers: np.ndarray) -> np.ndarray:
        """Return the results [K, C] on integers [K, C]."""
        channels = range(len(self.base))
        up, down = (
            np.stack([np.searchsorted(side[c], integers[:, c], side="right") for c in channels], axis=1)
            for side in (self.rises, self.falls)
        )
        return self.base + up - down

    def turned(self) -> Response:
        """Return the response to the opposite integers in the channels that fall, which then rise."""
        falling = self.falling[:, None]
        width = max(self.rises.shape[1], self.falls.shape[1])
        rises, falls = (_widened(side, width, self.high) for side in (self.rises, self.falls))
        opposite = np.where(falls <= self.high, self.stride - falls, self.high + 1)
        rises = np.sort(np.where(falling, opposite, rises), axis=1)
        falls = np.where(falling, self.high + 1, falls)
        last = self.results(np.full((1, len(self.base)), self.high))[0]
        base = np.where(self.falling, last, self.base)
        return Response(self.low, self.high, self.stride, base, _trimmed(rises, self.high), _trimmed(falls, self.high))

    def of_bits(self) -> Response:
        """Return the response of -1 and 0 for results of -1 and +1, whose every change stands in its row twice."""
        return replace(self, base=(self.base - 1) // 2, rises=self.rises[:, ::2], falls=self.falls[:, ::2])

    def points(self, more: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return integers [K, C] on both sides of every change, at both ends, and those of ``more`` [K, C]; with their
        results [K, C]."""
        changes = np.concatenate([self.rises.T, self.falls.T])
        ends = np.array([[self.low], [self.high]])
        rows = [changes - self.stride, changes, np.broadcast_to(ends, (2, len(self.base)))]
        rows += [] if more is None else [more]
        last = self.low + (self.high - self.low) // self.stride * self.stride
        integers = np.sort(np.clip(np.concatenate(rows), self.low, last), axis=0)
        return integers, self.results(integers)

    def thresholds(self, most: int = MOST_THRESHOLDS) -> tuple[np.ndarray, int, int] | None:
        """Return thresholds [C, K], of which the last ``falls`` count down, that number, and the base of a
        MultiThreshold; None if they are more than ``most``."""
        base = int(self.base.min())
        more = self.base - base  # results that a channel begins with
        always = np.where(np.arange(more.max())[None] < more[:, None], self.low, self.high + 1)
        rises = _trimmed(np.sort(np.concatenate([always, self.rises], axis=1), axis=1), self.high)
        if not rises.shape[1] and self.falls.shape[1]:
            rises = np.full((len(self.base), 1), self.high + 1)  # a MultiThreshold has one
        if not 0 < rises.shape[1] + self.falls.shape[1] <= most:
            return None
        return np.concatenate([rises, self.falls], axis=1), self.falls.shape[1], base

    def multiply_shift(self, bits: int, node):
        """Return (multiplier, offset, shift) with these results, saturated to ``bits``, or None."""
        integers, results = self.points()
        try:
            return fit_multiply_shift(integers, results, bits, node)
        except PassError:
            return None

    def lines(self, model, chain, real, bits: int, node):
        """Return ((step, down, down_offset, up, up_offset), shift) of the two lines a channel with these results, or
        None."""
        for steps in self.bends(model, chain, real, bits):
            integers, results = self.points(np.stack([steps - self.stride, steps]))
            try:
                lines, shift = fit_lines(integers, results, steps, bits, node)
            except PassError:
                continue
            return (steps, *lines), shift
        return None

    def bends(self, model, chain, real, bits):
        """Yield the least integers [C] of the upper lines that are likely: where the input of a bend, or of a rounding
        towards or away from zero, changes its sign, and where results that stay the same at one end begin or end to."""
        channels = len(self.base)
        bends = [index for index, node in enumerate(chain) if node.op_type in BENT or _rounds_by_sign(node)]
        for index in sorted({*bends[:1], *bends[-1:]}):
            if is_monotone(model, chain[:index]):
                yield self._sign_change(model, chain[:index], real, channels)
        integers, results = self.points()
        yield flat_steps(integers, results, bits)

    def _sign_change(self, model, entering, real, channels):
        count = (self.high - self.low) // self.stride

        def positive(k):
            values = real(self.low + self.stride * k)
            return (evaluate_chain(model, entering, values, channels) if entering else values) >= 0

        below, above = np.full((1, channels), -1), np.full((1, channels), count + 1)
        falling = positive(np.zeros((1, channels), np.int64)) & ~positive(np.full((1, channels), count))
        while (above - below > 1).any():
            middle = (below + above) // 2
            reached = positive(np.clip(middle, 0, count)) != falling
            above, below = np.where(reached, middle, above), np.where(reached, below, middle)
        return (self.low + self.stride * above)[0]


def _rounds_by_sign(node) -> bool:
    modes = [a.s.decode() for a in node.attribute if a.name == "rounding_mode"] if node.op_type == "Quant" else []
    return any(mode in ROUNDED_BY_SIGN for mode in modes)


def _rows(channel, places, results, high) -> np.ndarray:
    """Return the places of each channel as a row, filled up with ``high + 1``."""
    counts = np.bincount(channel, minlength=results.shape[1])
    rows = np.full((results.shape[1], counts.max(initial=0)), high + 1)
    for c, start in enumerate(np.cumsum(counts) - counts):
        rows[c, : counts[c]] = places[start : start + counts[c]]
    return rows


def _trimmed(rows: np.ndarray, high: int) -> np.ndarray:
    """Return sorted rows without the columns that only fill them."""
    return rows[:, : int((rows <= high).sum(axis=1).max(initial=0))]


def _widened(rows: np.ndarray, width: int, high: int) -> np.ndarray:
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=high + 1)

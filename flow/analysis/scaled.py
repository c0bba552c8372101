"""A tensor as integers with a scale and an offset."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Scaled:
    """A tensor whose values are ``scale * integer + offset`` with integers ``low <= integer <= high``.

    All four are float64 arrays that broadcast to the tensor's shape with batch 1: single numbers have shape [1, ...],
    those of channels [1, C, 1, 1]. ``low`` and ``high`` are integers. A scale may be negative, as behind a BatchNorm
    of a negative factor. ``stride``: the integers are ``low + stride * k``; that of -1 and +1 is 2.
    """

    scale: np.ndarray
    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stride: int = 1

    @property
    def is_bipolar(self) -> bool:
        """Whether its values are two of opposite sign and one size: -scale and +scale."""
        values = self.low * self.scale + self.offset, self.high * self.scale + self.offset
        return self.levels == 2 and bool(np.all(values[0] == -values[1]))

    @property
    def is_unipolar(self) -> bool:
        """Whether its values are 0 and one other."""
        values = self.low * self.scale + self.offset, self.high * self.scale + self.offset
        return self.levels == 2 and bool(np.all((values[0] == 0) | (values[1] == 0)))

    @property
    def levels(self) -> int:
        """The largest number of values that a channel can take."""
        return int(((self.high - self.low) / self.stride).max()) + 1

    @property
    def per_channel(self) -> bool:
        """Whether channels differ in scale or offset."""
        return bool(np.ptp(self.scale) or np.ptp(self.offset))

    def values(self, integers: np.ndarray) -> np.ndarray:
        """Return the real values of ``integers``."""
        return self.scale * integers + self.offset

    def integers(self, values: np.ndarray) -> np.ndarray:
        """Return the real numbers that ``values`` are in units of the scale, integers where the analysis is right."""
        return (np.asarray(values, np.float64) - self.offset) / self.scale

    def affine(self, gain, offset) -> Scaled:
        """Return ``gain * tensor + offset``: the integers stay, the scale changes."""
        return replace(self, scale=self.scale * gain, offset=self.offset * gain + offset)

    def centred(self) -> Scaled | None:
        """Return it with offset 0, by other integers, or None where the offset is no multiple of the scale."""
        shift = self.offset / self.scale
        if not np.array_equal(shift, np.rint(shift)):
            return None
        return replace(self, offset=np.zeros_like(self.offset), low=self.low + shift, high=self.high + shift)

    def reshaped(self, function) -> Scaled:
        """Return it with ``function``, which moves elements only, applied to all arrays."""
        return replace(self, **{name: function(getattr(self, name)) for name in ("scale", "offset", "low", "high")})

    def __str__(self) -> str:
        low, high = int(self.low.min()), int(self.high.max())
        scale = f"{self.scale.flat[0]:g}" if not np.ptp(self.scale) else "a scale a channel"
        kind = "bits" if self.levels == 2 else f"{low}..{high}"
        offset = "" if not self.offset.any() else f" + {self.offset.flat[0]:g}"
        return f"{kind} x {scale}" + (" + an offset a channel" if np.ptp(self.offset) else offset)

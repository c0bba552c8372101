"""Accuracy from logits, the same whatever computed them."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from .errors import ModelError


class Accuracy(BaseModel):
    """Top-1 and top-5 in percent on ``images`` images of ``data``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    top1: float = Field(ge=0, le=100)
    top5: float = Field(ge=0, le=100)
    images: int = Field(ge=1)
    data: str


def ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Place of the true class among the logits [N, C], 0 for the best; int [N].

    Integer logits tie now and then: of equal classes the lower number comes first, as in argmax.

    Raises:
        ModelError: a logit is NaN or infinite, which no order has a place for.
    """
    if not np.isfinite(logits).all():
        wrong = int((~np.isfinite(logits)).any(axis=1).sum())
        raise ModelError(
            f"logits of {wrong} of {len(logits)} images are NaN or infinite: the network has no accuracy; look for "
            "such values among its parameters"
        )
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1])[None] < labels[:, None]
    return ((logits > own) | ((logits == own) & earlier)).sum(1)


def top1_top5(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Top-1 and top-5 in percent."""
    places = ranks(logits, labels)
    return 100.0 * int((places < 1).sum()) / len(places), 100.0 * int((places < 5).sum()) / len(places)

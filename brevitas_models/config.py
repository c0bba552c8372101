"""What a network is: everything that its graph and its hardware depend on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Model = Literal["bireal18"]
Strategy = Literal["none", "qat"]
MODELS: tuple[str, ...] = Model.__args__
STRATEGIES: tuple[str, ...] = Strategy.__args__


class NetworkConfig(BaseModel):
    """A network of the ResNet-18 family on 32x32 images.

    ``residual_bits``/``residual_fraction`` fix the signed grid of the residual stream;
    8 bits at 1/16 hold +-8 and keep every sum of the network inside float32's exact range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Model = "bireal18"
    strategy: Strategy = "qat"
    width: int = Field(64, ge=4, multiple_of=4, description="channels of the first stage")
    classes: int = Field(10, ge=2)
    division: Literal["c+alpha", "c*k2+alpha", "c*alpha", "c*k2*alpha", "minmax"] = "c*alpha"
    train_alpha: bool = True
    residual_bits: int = Field(8, ge=4, le=12)
    residual_fraction: int = Field(4, ge=0, le=8)

"""What a network is, everything that its graph and its hardware depend on; and how it is trained."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator, model_validator

from .voters import parse_voter

Model = Literal["bireal18", "reactnet18", "reactnet_a", "xnornet18", "bwn18", "bnn_cifar10", "twin18"]
Strategy = Literal["none", "ptq", "simple-qat", "qat"]
Shortcut = Literal["conv8", "binary", "duplicate"]
Padding = Literal["minus_one", "plus_one", "zero"]
Threshold = Literal["majority", "mean", "learned"]
Slopes = Literal["power_of_two", "any"]
Norm = Literal["bn", "none", "bn-free"]
ActivationScale = Literal["none", "map", "mean"]
TeacherOn = Literal["images", "batch"]
Division = Literal["c+alpha", "c*k2+alpha", "c*alpha", "c*k2*alpha", "minmax", "rms"]
TEACHER_ON: tuple[str, ...] = TeacherOn.__args__
TEACHERS = ("twin18",)  # float networks, to learn from
MODELS: tuple[str, ...] = tuple(name for name in Model.__args__ if name not in TEACHERS)
STRATEGIES: tuple[str, ...] = Strategy.__args__
SHORTCUTS: tuple[str, ...] = Shortcut.__args__
PADDINGS: tuple[str, ...] = Padding.__args__
SLOPES: tuple[str, ...] = Slopes.__args__
NORMS: tuple[str, ...] = Norm.__args__
ACTIVATION_SCALES: tuple[str, ...] = ActivationScale.__args__
THRESHOLDS: tuple[str, ...] = Threshold.__args__
DIVISIONS: tuple[str, ...] = Division.__args__
VOTING = ("bireal18", "reactnet18", "reactnet_a")  # networks whose popcounts may be voted on
FULL_WIDTH = {
    "reactnet_a": 32,
    "bnn_cifar10": 128,
    **dict.fromkeys(("bireal18", "reactnet18", "xnornet18", "bwn18"), 64),
}
DEFAULT_STRATEGY = {model: "qat" if model in VOTING else "none" for model in MODELS}
WIDEST, MOST_CLASSES = 512, 10_000  # more would take gigabytes before anything can be checked
PAD_VALUES = {"minus_one": -1.0, "plus_one": 1.0, "zero": 0.0}


class NetworkConfig(BaseModel):
    """A 1-bit network on 32x32 images.

    ``residual_bits``/``residual_fraction`` fix the signed grid of the residual stream;
    8 bits at 1/16 hold +-8 and keep every sum of the network inside float32's exact range.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    model: Model = "bireal18"
    strategy: Strategy = "qat"
    width: int = Field(64, ge=4, le=WIDEST, multiple_of=4, description="channels of the first stage")
    classes: int = Field(10, ge=2, le=MOST_CLASSES)
    division: Division = "c*alpha"
    train_alpha: bool = True
    voter: str = "exact"
    threshold: Threshold = Field(
        "majority",
        description="the least sum that votes +1: 0 or the voter's own; or of each channel, its mean or learned",
    )
    shortcut: Shortcut = "conv8"
    padding: Padding = "minus_one"
    slopes: Slopes = Field("power_of_two", description="of RPReLU: a shift in hardware, or a multiplication")
    norm: Norm = Field(
        "bn",
        description="of binary blocks: BatchNorm; a learned scale and bias; or these on weights kept standardised",
    )
    activation_scale: ActivationScale = Field(
        "none",
        description="XNOR-Net's K: left out; a map from the activations, in training only; its mean, from training",
    )
    activation_bits: int | None = Field(
        None, ge=1, description="of bwn18: bits that a convolution takes, unsigned; None is all that ReLU leaves"
    )
    residual_bits: int = Field(8, ge=4, le=12)
    residual_fraction: int = Field(4, ge=0, le=8)

    @field_validator("voter")
    @classmethod
    def _known_voter(cls, value):
        return parse_voter(value).text

    @model_validator(mode="after")
    def _consistent(self):
        voter = parse_voter(self.voter)
        if self.padding == "zero" and not voter.exact:
            raise ValueError(
                f"voter {self.voter} cannot be padded with zeros, a group of them has no majority: pad with minus_one"
            )
        if voter.text != "exact" and self.strategy == "none":
            raise ValueError(f"strategy none keeps the popcount, there is no vote for voter {self.voter}")
        if self.threshold != "majority" and (self.strategy == "none" or not voter.exact):
            raise ValueError(
                f"threshold {self.threshold} is of votes on exact sums, not of strategy {self.strategy} with voter "
                f"{self.voter}"
            )
        if self.width % voter.sample:
            raise ValueError(f"voter {self.voter} needs a width that {voter.sample} divides, not {self.width}")
        if self.model in TEACHERS:
            plain = NetworkConfig.model_construct(
                model=self.model, strategy="none", width=self.width, classes=self.classes
            )
            if self.model_dump() != plain.model_dump():
                raise ValueError(
                    f"{self.model} is a float network, a teacher: it has a width and classes, and strategy none"
                )
        if self.model not in VOTING and (self.strategy != "none" or voter.text != "exact"):
            raise ValueError(f"{self.model} does not vote on popcounts: it has strategy none and voter exact only")
        if self.model not in VOTING and self.norm != "bn":
            raise ValueError(f"norm {self.norm} is of {', '.join(VOTING)}, not of {self.model}: leave it out")
        if self.model == "reactnet_a" and (self.shortcut != "conv8" or voter.text == "maj3"):
            raise ValueError(
                "reactnet_a repeats channels in its shortcuts and has 1x1 convolutions: it has no choice of shortcut "
                "and no votes of three, leave these out"
            )
        if self.activation_scale != "none" and self.model != "xnornet18":
            raise ValueError(f"activation_scale is of xnornet18, not of {self.model}: leave it out")
        if self.activation_bits and (self.model != "bwn18" or self.activation_bits >= self.residual_bits):
            raise ValueError(
                f"activation_bits is of bwn18 and less than the {self.residual_bits} bits of its residual stream, not "
                f"{self.activation_bits} of {self.model}"
            )
        return self

    @property
    def untrained(self) -> bool:
        """Is such a network never trained, but made of one with popcounts kept, or with a map of scales?"""
        return self.strategy == "ptq" or self.activation_scale == "mean"

    @property
    def channel_scales(self) -> bool:
        """Is XNOR-Net's scale mean|w| one of each output channel, not of the layer?"""
        return self.model == "xnornet18" or self.norm == "bn-free"


class TrainConfig(BaseModel):
    """How a network is trained.

    ``resolutions`` lists (fraction of the steps, image size): the size holds from that fraction on. Small images first
    cost a quarter of the time; the network pools globally, so it takes any size. ``votes_from`` is the fraction of the
    steps from which on votes stand behind the popcounts; until then they are kept, as by strategy none, whatever the
    voter. ``branch_scale``: the BatchNorm scale of every block's branch at the start of the run, the shortcut having 1:
    branches that start small let residual networks learn sooner (De and Smith, NeurIPS 2020; docs/accuracy.md has what
    it gives here). ``window``: of division rms, D in root mean squares of the sums, at the start and at the end of the
    run; in between it goes geometrically. A wide window lets all weights learn, a narrow one has the gradient of what
    is computed, as IR-Net's estimator (Qin et al., CVPR 2020, section 3.3).
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    epochs: int = Field(8, ge=1)
    batch: int = Field(128, ge=2)
    lr: float = Field(2e-3, gt=0)
    warmup: float = Field(0.05, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    votes_from: float = Field(0.0, ge=0, lt=1)
    branch_scale: PositiveFloat = 0.25
    shift: int = Field(
        4, ge=0, le=16, description="most pixels that a training image is moved by, either way, in both directions"
    )
    window: tuple[PositiveFloat, PositiveFloat] = (1.3, 1.3)  # where learned alphas of c*alpha end
    clipping: float = Field(
        0.0, ge=0, description="largest gradient of a unit's weights, as a part of their norm; 0 clips none"
    )
    distillation: float = Field(
        0.0, ge=0, le=1, description="the teacher's part of the loss, beside that of the labels"
    )
    temperature: float = Field(
        2.0, gt=0, description="that softens the teacher's answers, and the student's to compare"
    )
    teacher_on: TeacherOn = Field(
        "images", description="the teacher sees every image once as it is, or each batch as it is augmented, whole"
    )
    erase: int = Field(
        0, ge=0, le=16, description="side of a square that is blanked in half of the training images, at a random place"
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="what an average of the weights keeps at each step; it is then what is measured"
    )
    validation: int = Field(
        0,
        ge=0,
        description="training images that are kept apart and measured after each epoch, in place of test images",
    )
    seed: int = 1
    resolutions: tuple[tuple[float, int], ...] = ((0.0, 32),)
    bf16: bool = False
    compile: bool = True

    @field_validator("resolutions")
    @classmethod
    def _ordered(cls, value):
        starts = [start for start, _ in value]
        if (
            not value
            or starts[0] != 0.0
            or starts != sorted(starts)
            or any(size not in (16, 24, 32) for _, size in value)
        ):
            raise ValueError("resolutions are (fraction, size) pairs from fraction 0 on, sizes 16, 24 or 32")
        return value

    def resolution(self, progress: float) -> int:
        """Image size at ``progress`` in 0..1."""
        return [size for start, size in self.resolutions if start <= progress][-1]

    def window_at(self, progress: float) -> float:
        """Window of division rms at ``progress`` in 0..1."""
        first, last = self.window
        return first * (last / first) ** progress

    def rate(self, progress: float) -> float:
        """Learning rate at ``progress``: linear warm-up, then a cosine to zero."""
        if progress < self.warmup:
            return self.lr * max(progress / self.warmup, 0.02)
        return self.lr * 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))

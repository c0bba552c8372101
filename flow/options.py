"""Options of a build: every one of ``flow build`` and `flow.build`, with its default and its check."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from brevitas_models.config import DEFAULT_STRATEGY
from flow.errors import FlowError

MOST_IMAGES = 100_000


class Options(BaseModel):
    """Options of a build.

    The network is one of three: a bundled one (``model``, ``strategy`` and the choices beside), ``checkpoint``, or
    ``onnx``, anyone's QONNX file.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    model: str = Field("bireal18", description="Network, such as bireal18; a name of yours for a QONNX file.")
    strategy: str = Field("qat", description="none (popcount baseline), ptq, simple-qat or qat (PopBin votes).")
    target: str = Field("pynq-z2", description="Board: a file of flow/targets.")
    width: int | None = Field(None, ge=1, description="Channels of the first stage; None is the model's full width.")
    voter: str | None = Field(
        None, description="Voter to build with, trained with it or not; None is the checkpoint's."
    )
    shortcut: str | None = Field(None, description="Shortcut across stages that the checkpoint must have.")
    padding: str | None = Field(None, description="Padding of binary convolutions that the checkpoint must have.")
    norm: str | None = Field(
        None, description="What follows the sums of binary blocks in the checkpoint: bn, none, bn-free."
    )
    checkpoint: Path | None = Field(None, description="Checkpoint instead of the bundled one.")
    onnx: Path | None = Field(None, description="Anyone's QONNX file instead of a checkpoint.")
    images: Path | None = Field(
        None, description="Of a QONNX file: images to calibrate on and to compare with, a .npy of uint8 [N, H, W, C]."
    )
    labels: Path | None = Field(
        None, description="Of a QONNX file: classes of the images, a .npy of integers [N], to measure accuracy."
    )
    pixels: tuple[float, float] = Field(
        (0.0, 255.0), description="Of a QONNX file: what the network's input is for pixels 0 and 255."
    )
    fixed_point_bits: int | None = Field(
        None,
        ge=4,
        le=16,
        description="Of a QONNX file: bits that real tensors become; without it the fewest that change no class.",
    )
    tolerance: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Of a QONNX file: the largest change of a logit, as a part of the spread of all logits, that fixed "
        "point may make; more stops the build.",
    )
    plan: Path | None = Field(None, description="An edited plan.yaml instead of the planner.")
    clock: float | None = Field(None, gt=0, description="Clock of the accelerator in MHz; None is the target's.")
    fps: float = Field(300.0, ge=0.1, le=1e6, description="Frames a second that the plan must reach.")
    data: Path | None = Field(
        None, description="CIFAR-10, for accuracy on all test images instead of the packaged ones."
    )
    output: Path | None = Field(None, description="Folder to build in; None is build/MODEL-STRATEGY-TARGET.")
    route: Literal["rtl", "hls"] = Field("rtl", description="What the plan must fit and a bitfile is made of.")
    bitfile: bool = Field(False, description="Go on to a bitfile, by the route.")
    synth: bool = Field(False, description="Synthesise the RTL by Yosys, for its size and speed.")
    pass_images: int = Field(
        4, ge=1, le=MOST_IMAGES, description="Images on which the graph is executed before and after every pass."
    )
    golden_images: int = Field(
        256, ge=1, le=MOST_IMAGES, description="Images on which golden is compared with the export and PyTorch."
    )
    csim_images: int = Field(
        64, ge=1, le=MOST_IMAGES, description="Images on which C simulation is compared with golden."
    )
    csim_unbounded: bool = Field(
        False, description="C simulation with streams of any depth: it no longer shows whether the HLS would hang."
    )
    rtl_images: int = Field(
        4,
        ge=2,
        le=MOST_IMAGES,
        description="Images on which RTL simulation is compared with golden; the rate is that of the second on.",
    )
    stream_images: int = Field(
        2, ge=0, le=MOST_IMAGES, description="Images of which every value of every stream is compared."
    )
    accuracy_images: int = Field(
        512, ge=1, le=MOST_IMAGES, description="Packaged images on which accuracy is measured."
    )

    @model_validator(mode="after")
    def _consistent(self):
        if self.onnx and self.checkpoint:
            raise ValueError("onnx and checkpoint are two networks: give one")
        given = self.model_fields_set
        if self.onnx:
            for name in ("width", "voter", "shortcut", "padding", "norm", "data"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} is of the networks of brevitas_models, and onnx is another one: leave it out"
                    )
            if self.labels and not self.images:
                raise ValueError("labels are of images: give these too")
        else:
            for name in ("images", "labels", "pixels", "fixed_point_bits", "tolerance"):
                if name in given and getattr(self, name) is not None:
                    raise ValueError(f"{name} is of a QONNX file (onnx): give one, or leave it out")
        low, high = self.pixels
        if not low < high:
            raise ValueError(f"pixels {low:g},{high:g}: the first must be smaller")
        return self

    @classmethod
    def checked(cls, **given) -> Options:
        """Return the options ``given``, None standing for the default.

        A QONNX file has strategy "onnx", and its stem as its model unless one is given.

        Raises:
            FlowError: a value is out of range, or two do not go together; the message names them.
        """
        given = {name: value for name, value in given.items() if value is not None}
        if "onnx" in given:
            if given.get("strategy", "onnx") != "onnx":
                raise FlowError(
                    f"strategy {given['strategy']} is of the networks of brevitas_models: leave it out with onnx"
                )
            given = {"model": Path(given["onnx"]).stem, **given, "strategy": "onnx"}
        else:
            given.setdefault("strategy", DEFAULT_STRATEGY.get(given.get("model", ""), "qat"))
        try:
            return cls(**given)
        except ValidationError as error:
            raise FlowError("; ".join(_problem(found) for found in error.errors())) from error

    @property
    def folder(self) -> Path:
        """The build folder."""
        return self.output or Path("build") / f"{self.model}-{self.strategy}-{self.target}"


def _problem(error) -> str:
    message = error["msg"].removeprefix("Value error, ")
    name = ".".join(map(str, error["loc"]))
    return f"{name} is {error['input']!r}: {message[:1].lower()}{message[1:]}" if name else message

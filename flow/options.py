"""Options of a build: every one of ``flow build`` and `flow.build`, with its default and its check."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flow.errors import FlowError

DEFAULT_STRATEGY = {"bnn_cifar10": "none"}  # of all others it is qat


class Options(BaseModel):
    """Options of a build.

    The network is one of three: a bundled one (``model``, ``strategy`` and the choices beside), ``checkpoint``, or
    ``onnx``, anyone's QONNX file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field("bireal18", description="Network, such as bireal18; a name of yours for a QONNX file.")
    strategy: str = Field("qat", description="none (popcount baseline), ptq, simple-qat or qat (PopBin votes).")
    target: str = Field("pynq-z2", description="Board: a file of flow/targets.")
    width: int | None = Field(None, ge=1, description="Channels of the first stage; None is the model's full width.")
    voter: str | None = Field(
        None, description="Voter to build with, trained with it or not; None is the checkpoint's."
    )
    shortcut: str | None = Field(None, description="Shortcut across stages that the checkpoint must have.")
    padding: str | None = Field(None, description="Padding of binary convolutions that the checkpoint must have.")
    checkpoint: Path | None = Field(None, description="Checkpoint instead of the bundled one.")
    onnx: Path | None = Field(None, description="Anyone's QONNX file instead of a checkpoint.")
    images: Path | None = Field(
        None, description="Of a QONNX file: images to calibrate on and to compare with, a .npy of uint8 [N, H, W, C]."
    )
    pixels: tuple[float, float] = Field(
        (0.0, 255.0), description="Of a QONNX file: what the network's input is for pixels 0 and 255."
    )
    fixed_point_bits: int = Field(12, ge=4, le=16, description="Of a QONNX file: bits that real tensors become.")
    plan: Path | None = Field(None, description="An edited plan.yaml instead of the planner.")
    fps: float = Field(300.0, ge=0.1, description="Frames a second that the plan must reach.")
    data: Path | None = Field(
        None, description="CIFAR-10, for accuracy on all test images instead of the packaged ones."
    )
    output: Path | None = Field(None, description="Folder to build in; None is build/MODEL-STRATEGY-TARGET.")
    bitfile: Literal["rtl", "hls"] | None = Field(
        None, description="Go on to a bitfile, by this route; None makes none."
    )
    synth: bool = Field(False, description="Synthesise the RTL by Yosys, for its size and speed.")
    pass_images: int = Field(4, ge=1, description="Images on which the graph is executed before and after every pass.")
    golden_images: int = Field(256, ge=1, description="Images on which golden is compared with the export and PyTorch.")
    csim_images: int = Field(64, ge=1, description="Images on which C simulation is compared with golden.")
    csim_unbounded: bool = Field(
        False, description="C simulation with streams of any depth: it no longer shows whether the HLS would hang."
    )
    rtl_images: int = Field(4, ge=1, description="Images on which RTL simulation is compared with golden.")
    stream_images: int = Field(2, ge=0, description="Images of which every value of every stream is compared.")
    accuracy_images: int = Field(512, ge=1, description="Packaged images on which accuracy is measured.")

    @model_validator(mode="after")
    def _consistent(self):
        if self.onnx and self.checkpoint:
            raise ValueError("onnx and checkpoint are two networks: give one")
        if self.images and not self.onnx:
            raise ValueError("images are of a QONNX file (onnx): networks for CIFAR-10 have packaged ones")
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

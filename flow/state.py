"""The state of one build: options, folder, reports of the finished steps, and parts that are loaded when needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flow.errors import FlowError, VerificationError
from flow.images import load_images, load_labels
from flow.memory import require_memory
from flow.options import Options
from flow.workspace import Workspace

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper
    from torch import nn

    from brevitas_models.checkpoint import Metadata
    from brevitas_models.data import ImageSet
    from flow.plan.target import Target


@dataclass
class Comparison:
    """One line of ``verification``: how many values of ``stage`` were compared and how many differ.

    ``deviation``: where the two need not be equal, by how much they differ at most, as a part of the values' spread.
    """

    stage: str
    against: str
    what: str
    images: int
    values: int
    mismatches: int
    deviation: float | None = None

    @classmethod
    def of(cls, stage: str, against: str, what: str, actual: np.ndarray, expected: np.ndarray) -> Comparison:
        """Return the comparison of two arrays [images, ...] of one shape."""
        return cls(stage, against, what, len(actual), expected.size, int((actual != expected).sum()))

    @classmethod
    def near(cls, stage: str, against: str, what: str, actual: np.ndarray, expected: np.ndarray) -> Comparison:
        """Return the comparison of two arrays [images, ...] of one shape that need not be equal."""
        exact = cls.of(stage, against, what, actual, expected)
        share = float(np.abs(actual - expected).max() / (np.ptp(expected) or 1.0))
        return replace(exact, deviation=share)

    def as_dict(self) -> dict:
        """Return its fields."""
        return {name: value for name, value in self.__dict__.items() if value is not None}

    def __str__(self) -> str:
        result = f"{self.mismatches} mismatches" if self.deviation is None else f"differ by {percent(self.deviation)}"
        return f"{self.stage} and {self.against}: {self.what} of {self.images} images, {self.values} values, {result}"


def percent(share: float) -> str:
    """Return a part of the spread of values in words."""
    return f"at most {100 * share:.2g} % of their spread"


@dataclass
class Build:
    """State of one run: options and folder."""

    options: Options
    workspace: Workspace
    log: Callable[[str], None] = print

    @cached_property
    def target(self) -> Target:
        """The board."""
        from flow.plan.target import load_target

        return load_target(self.options.target).at(self.options.clock)

    # the network

    @cached_property
    def checkpoint(self) -> Path:
        """The checkpoint that was given, or the bundled one that fits the options."""
        from brevitas_models import zoo

        o = self.options
        return o.checkpoint or zoo.resolve(o.model, o.strategy, o.width, o.voter, o.shortcut, o.padding, o.norm)

    @cached_property
    def _loaded(self) -> tuple[nn.Module, Metadata]:
        from brevitas_models.checkpoint import load_checkpoint

        return load_checkpoint(self.checkpoint)

    @property
    def metadata(self) -> Metadata:
        """The checkpoint's metadata of its network and training."""
        return self._loaded[1]

    @cached_property
    def network(self) -> nn.Module:
        """The PyTorch network of the checkpoint, with the strategy and the voter that were asked for."""
        from brevitas_models.networks import converted

        options, (network, metadata) = self.options, self._loaded
        found = metadata.network
        wanted = {"model": options.model, "strategy": options.strategy}
        wanted |= {
            key: value
            for key in ("width", "shortcut", "padding", "norm")
            if (value := getattr(options, key)) is not None
        }
        changes = {"strategy": "ptq"} if (found.strategy, options.strategy) == ("none", "ptq") else {}
        for key, value in wanted.items():
            if key not in changes and getattr(found, key) != value:
                raise FlowError(
                    f"{self.checkpoint} holds a network with {key} {getattr(found, key)}, not {value}: give another "
                    "--checkpoint"
                )
        if options.voter and options.voter != found.voter:
            changes["voter"] = options.voter
        return converted(network, **changes) if changes else network

    @cached_property
    def foreign(self) -> ModelWrapper:
        """The graph of the QONNX file."""
        from flow.inspection import load_foreign

        return load_foreign(self.options.onnx)

    @property
    def voter(self) -> str:
        """The voter of the binary layers."""
        return "exact" if self.options.onnx else self.network.config.voter

    # images

    @cached_property
    def samples(self) -> ImageSet:
        """The packaged images."""
        from brevitas_models.data import load_samples

        return load_samples()

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        if not self.options.onnx:
            return self.samples.images.shape[1:]
        from flow.foreign import image_shape

        return image_shape(self.foreign)

    @cached_property
    def every_image(self) -> np.ndarray:
        """All images that a build may use, uint8 [N, H, W, C]: the packaged ones; of a QONNX file those given, else the
        packaged ones brought to its size."""
        options = self.options
        if not options.onnx:
            return self.samples.images
        if options.images:
            return load_images(options.images, self.image_shape)
        count = max(options.golden_images, options.csim_images, options.rtl_images, options.pass_images)
        require_memory(4 * count * math.prod(self.image_shape), f"{count} images", "give --images")
        from flow.foreign import sample_images

        return sample_images(self.image_shape, count)

    @cached_property
    def labels(self) -> np.ndarray | None:
        """The classes [N] of `every_image`; None where they are not known."""
        if not self.options.onnx:
            return self.samples.labels
        return load_labels(self.options.labels, len(self.every_image)) if self.options.labels else None

    def images(self, count: int) -> np.ndarray:
        """Return the first ``count`` images, uint8 [count, H, W, C]; fewer where fewer were given.

        Raises:
            FlowError: more are asked for than are packaged.
        """
        if count > len(self.every_image):
            if self.options.onnx:
                return self.every_image
            raise FlowError(f"{count} images asked for, {len(self.every_image)} are packaged: ask for fewer")
        return self.every_image[:count]

    # what steps have made

    def graph(self, name: str) -> ModelWrapper:
        """Return the graph ``graphs/<name>.onnx``."""
        return self.workspace.load_graph(name)

    def golden_logits(self, count: int | None = None) -> np.ndarray:
        """Return the golden logits int32 [count, classes], which the streamline step computed; of all images by
        default."""
        stored = self.workspace.load_array("golden_logits")
        return stored if count is None else stored[: len(self.images(count))]

    def build_id(self) -> str:
        """Return 32 hex digits over the planned graph and the target."""
        return self.workspace.build_id(self.options.target)

    # reports

    def report(self, step: str, content: dict) -> None:
        """Store the figures of a finished step; ``summary.json`` is put together from them."""
        self.workspace.save_json(step, content)

    def store(self, comparisons: list[Comparison], step: str) -> None:
        """Store the comparisons in the report of ``step``, and log them."""
        self.report(step, {**self._previous(step), "verification": [c.as_dict() for c in comparisons]})
        for c in comparisons:
            self.log(str(c))

    def require_equal(self, comparisons: list[Comparison], step: str, first: str | None = None) -> None:
        """Store the comparisons, and stop the build if one of them has a mismatch.

        ``first``: the first difference in a stream, for the message.

        Raises:
            VerificationError: a comparison has a mismatch, or compared nothing.
        """
        self.store(comparisons, step)
        for c in comparisons:
            if c.mismatches or not c.values:
                where = f"; the first tensor that differs is {first}" if first else ""
                raise VerificationError(
                    f"{c.stage} differs from {c.against} in {c.mismatches} of {c.values} {c.what}{where}"
                )

    def _previous(self, step: str) -> dict:
        there = (self.workspace.reports / f"{step}.json").exists()
        return self.workspace.load_json(step) if there else {}  # type: ignore[return-value]

"""A backend's logits and streams against the golden model."""

from __future__ import annotations

import numpy as np

from flow.errors import VerificationError
from flow.state import Build, Comparison


def compare_backend(build: Build, stage: str, result, images: int, step: str | None = None) -> None:
    """Compare ``result.logits`` of ``images`` images and ``result.streams`` of those whose streams were recorded.

    Raises:
        VerificationError: a value differs; the first stream in the order of the graph is named.
    """
    from flow.golden import Golden
    from flow.graph import hardware_nodes
    from flow.sim.compare import first_difference

    model = build.graph("hardware")
    recorded = build.images(build.options.stream_images)
    streams: dict[str, np.ndarray] = {}
    if len(recorded):
        Golden(model).execute(recorded, streams)
    order = [name for node in hardware_nodes(model) for name in node.outputs]
    missing = [name for name in order if name not in result.streams]
    if missing and len(recorded):
        raise VerificationError(f"{stage} did not report the streams {', '.join(missing)}")
    comparisons = [Comparison.of(stage, "golden", "logits", result.logits, build.golden_logits(images))]
    first = None
    if len(recorded):
        found = {name: _in_shape(result.streams[name], streams[name].shape) for name in order}
        first = first_difference(streams, found, order)
        values = sum(streams[name].size for name in order)
        differ = sum(int((found[name] != streams[name]).sum()) for name in order)
        comparisons.append(Comparison(stage, "golden", "values of every stream", len(recorded), values, differ))
    build.require_equal(comparisons, step or stage, str(first) if first else None)


def _in_shape(stream: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a recorded stream as its node gives it: a wire may carry a map that is read as one pixel."""
    return stream.reshape(shape) if stream.size == np.prod(shape) else stream

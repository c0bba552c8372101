"""A backend's logits and streams against the golden model."""

from __future__ import annotations

import numpy as np

from flow.build import Build, Comparison
from flow.errors import VerificationError


def compare_backend(build: Build, stage: str, result, images: int, step: str | None = None) -> None:
    """Compares ``result.logits`` of ``images`` images and ``result.streams`` of the tapped ones.

    Raises:
        VerificationError: a value differs; the first stream in the order of the graph is named.
    """
    from flow.graph import hardware_nodes
    from flow.sim.compare import first_difference
    from flow.sim.golden import Golden

    model = build.graph("hardware")
    golden, tapped = Golden(model), build.options.layer_images
    taps: dict[str, np.ndarray] = {}
    golden.execute(build.images(tapped), taps)
    expected = golden.execute(build.images(images))
    order = [name for node in hardware_nodes(model) for name in node.outputs]
    missing = [name for name in order if name not in result.streams]
    if missing:
        raise VerificationError(f"{stage} did not report the streams {', '.join(missing)}")
    first = first_difference(taps, result.streams, order)
    values = sum(taps[name].size for name in order)
    differ = sum(int((result.streams[name] != taps[name]).sum()) for name in order)
    build.require_equal(
        [
            Comparison(stage, "golden", "logits", images, expected.size, int((result.logits != expected).sum())),
            Comparison(stage, "golden", "values of every stream", tapped, values, differ),
        ],
        step or stage,
        str(first) if first else None,
    )

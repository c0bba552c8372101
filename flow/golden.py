"""The golden model: a hardware graph evaluated node by node in numpy integers."""

from __future__ import annotations

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from flow.graph import hardware_nodes


class Golden:
    """Executes a hardware graph exactly; every other backend is compared with it."""

    def __init__(self, model: ModelWrapper):
        self.nodes = list(hardware_nodes(model))
        self.input = model.graph.input[0].name
        self.output = model.graph.output[0].name

    def execute(self, images: np.ndarray, taps: dict[str, np.ndarray] | None = None, batch: int = 16) -> np.ndarray:
        """Logits int32 [N, classes] of images uint8 [N, H, W, 3].

        ``taps``, if given, is filled with every stream: tensor name -> integers [N, H, W, C]
        (bipolar streams as -1 and +1).
        """
        logits = []
        for start in range(0, len(images), batch):
            streams = self._run(images[start : start + batch], keep=taps is not None)
            logits.append(streams[self.output].reshape(len(streams[self.output]), -1).astype(np.int32))
            if taps is not None:
                for name, values in streams.items():
                    taps[name] = np.concatenate([taps[name], values]) if start else values
        return np.concatenate(logits)

    def _run(self, images: np.ndarray, keep: bool) -> dict[str, np.ndarray]:
        streams = {self.input: images.astype(np.int32)}
        last_use = {name: index for index, node in enumerate(self.nodes) for name in node.inputs}
        for index, node in enumerate(self.nodes):
            results = node.op.evaluate(*(streams[name] for name in node.inputs), *node.constants)
            streams.update(zip(node.outputs, results if isinstance(results, tuple) else (results,)))
            if not keep:
                for name in node.inputs:
                    if last_use[name] == index:
                        del streams[name]
        return streams

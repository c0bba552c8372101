"""From a PyTorch network to its integer graph in one call, without a build folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

from flow.passes import to_integers
from flow.passes.fold_constants import FoldConstants
from flow.passes.repeated_inputs import RemoveIdentities, SeparateRepeatedInputs


def load_export(path: Path) -> ModelWrapper:
    """Return an exported QONNX file with its constants folded and its nodes named."""
    return cleaned(ModelWrapper(str(path)))


def cleaned(model: ModelWrapper) -> ModelWrapper:
    """Return ``model`` with its constants folded, shapes inferred, and nodes named."""
    model = model.transform(FoldConstants()).transform(SeparateRepeatedInputs())
    return cleanup_model(model).transform(RemoveIdentities())


def integer_graph(network, size: int = 32) -> ModelWrapper:
    """Return the hardware graph of ``network`` (an evaluation network of brevitas_models) for size x size images,
    before planning.

    Raises:
        PassError: a part of it has no integer form.
    """
    from brevitas_models.export import export

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(network, path, size=size)
        return to_integers(load_export(path))

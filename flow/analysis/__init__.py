"""What the tensors of a QONNX graph hold, found without rewriting it."""

from .scaled import Scaled
from .walk import scaled_tensors

__all__ = ["Scaled", "scaled_tensors"]

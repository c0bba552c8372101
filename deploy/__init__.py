"""The board's side: runs an accelerator that `flow build` made, on a PYNQ board or in simulation.

Needs numpy, and pynq on a board; neither torch nor onnx.
"""

from .accelerator import Accelerator
from .errors import DeployError, DeviceError, NetworkError, PackageError, TransferTimeout
from .package import Package

__all__ = ["Accelerator", "DeployError", "DeviceError", "NetworkError", "Package", "PackageError", "TransferTimeout"]

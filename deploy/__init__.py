"""The board's side: runs an accelerator that `flow build` made, on a PYNQ board or in simulation.

Needs numpy, and pynq on a board; neither torch nor onnx.
"""

from .accelerator import Accelerator
from .errors import DeployError, DeviceError, NetworkError, PackageError, TransferTimeout
from .network import Network
from .package import Package, find_package

__all__ = [
    "Accelerator",
    "DeployError",
    "DeviceError",
    "Network",
    "NetworkError",
    "Package",
    "PackageError",
    "TransferTimeout",
    "find_package",
]

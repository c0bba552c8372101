"""What can go wrong on the board's side; each message names the thing, the value and the way out."""


class DeployError(Exception):
    """Base of all errors that a user can do something about."""


class PackageError(DeployError):
    """A file of the package is missing, damaged or of another build."""


class DeviceError(DeployError):
    """The accelerator or its board does not do what it should; the next call starts it afresh."""


class TransferTimeout(DeviceError):
    """A transfer did not end in time."""


class NetworkError(DeployError):
    """A network file cannot be read, or images do not fit it."""

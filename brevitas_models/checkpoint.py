"""The checkpoint file: what evaluation needs, no more, so that it fits into a git repository.

Layout of a ``.popbin`` file:

    8 bytes   "POPBIN\\r\\n"
    32 bytes  SHA-256 of all that follows
    the rest  an .npz container: "header" (JSON as bytes) and one member per array

A binary layer keeps the signs of its weights, packed eight a byte (bit 1 is +1, most significant
first, padded with 0), and its scale gamma = mean|W|, or that of each output channel. Loading gives
every weight the value ``sign * gamma``; signs and gamma are all that evaluation uses of it, so
logits do not change.
All else is float32.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .blocks import is_binary_weight
from .config import NetworkConfig, TrainConfig
from .data import SPLITS
from .errors import ModelError
from .metrics import Accuracy
from .networks import build_network, load_weights
from .quantizers import channel_magnitudes, mean_magnitude
from .state import TrainError, command_line, read_state

MAGIC = b"POPBIN\r\n"
DIGEST_BYTES = 32
FORMAT = 1
SUFFIX = ".popbin"
MOST_BYTES = 2 << 30  # of all arrays of a checkpoint
UNUSED = "num_batches_tracked"  # BatchNorm's counter plays no part in evaluation


class CheckpointError(ModelError):
    """A checkpoint cannot be read or does not fit; the message says which and why."""


class Metadata(BaseModel):
    """Where a checkpoint comes from and how good it is."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    network: NetworkConfig
    data: str = Field(description="what it was trained on")
    command: str = Field(description="a command that trains the same")
    earlier: list[str] = Field(
        [], description="what the run was on before the command's schedule, and the run that it began with"
    )
    epochs: float = Field(ge=0, description="epochs reached")
    epochs_planned: int = Field(ge=1)
    seed: int
    seconds: float = Field(ge=0, description="wall time of the training")
    device: str = Field("", description="what it was trained on last")
    accuracy: Accuracy | None = None
    validation: Accuracy | None = Field(None, description="on training images that were kept apart, to choose by")
    weights_sha256: str | None = Field(
        None, description="of names, shapes and values of all arrays; set by save_checkpoint"
    )

    @property
    def finished(self) -> bool:
        return self.epochs >= self.epochs_planned


def save_checkpoint(path: Path, network: torch.nn.Module, metadata: Metadata) -> Metadata:
    """Writes ``path``, whole or not at all; returns the metadata as stored.

    Raises:
        CheckpointError: a value is not finite, or the metadata describes another network.
    """
    if network.config != metadata.network:
        raise CheckpointError(f"{path}: the metadata describes another network than the one given")
    arrays = _pack(network)
    metadata = metadata.model_copy(update={"weights_sha256": _digest(arrays)})
    header = json.dumps({"format": FORMAT, **metadata.model_dump(mode="json")}, indent=1).encode()
    container = io.BytesIO()
    np.savez_compressed(container, header=np.frombuffer(header, np.uint8), **arrays)
    content = container.getvalue()
    partial = Path(path).with_name(f"{Path(path).name}.part")
    try:
        partial.write_bytes(MAGIC + hashlib.sha256(content).digest() + content)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return metadata


def load_checkpoint(path: Path, **expected: Any) -> tuple[torch.nn.Module, Metadata]:
    """The network, in evaluation mode, and its metadata.

    Args:
        expected: fields of NetworkConfig that must have these values, such as ``model="bireal18"``.

    Raises:
        CheckpointError: the file is missing, damaged, of another version, or holds another network.
    """
    header, arrays = _read(Path(path))
    if header.pop("format", None) != FORMAT:
        raise CheckpointError(f"{path} is not of checkpoint format {FORMAT}: it needs another version of flow")
    try:
        metadata = Metadata.model_validate(header)
    except ValidationError as error:
        raise CheckpointError(
            f"{path} describes no network that this version of flow knows ({error.error_count()} errors)"
        ) from error
    if metadata.weights_sha256 != _digest(arrays):
        raise CheckpointError(f"{path} is damaged (its weights have another checksum): fetch it again")
    for name, value in expected.items():
        found = getattr(metadata.network, name)
        if found != value:
            raise CheckpointError(f"{path} holds another network: its {name} is {found}, not {value}")
    _require_arrays(path, metadata.network, arrays)
    network = build_network(metadata.network)
    try:
        _unpack(network, arrays)
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} does not hold the arrays of {metadata.network.model} ({error})".replace("\n", " ")
        ) from error
    return network.eval(), metadata


def from_training_state(path: Path) -> tuple[torch.nn.Module, Metadata]:
    """The network as it is in a run's ``state.pt``, finished or not, and its metadata without accuracy.

    Raises:
        CheckpointError: the file is missing, damaged or of another network.
    """
    try:
        state = read_state(Path(path))
        network_config = NetworkConfig.model_validate(state["network"])
        config = TrainConfig.model_validate(state["config"])
        network = build_network(network_config)
        load_weights(network, {**state["model"], **state.get("average", {})})
    except (TrainError, ValidationError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"{path} cannot be packed: {reason}") from error
    steps = state.get("steps", SPLITS["train"] // config.batch * config.epochs)
    metadata = Metadata(
        network=network_config,
        data=state["source"],
        command=command_line(network_config, config, state.get("init"), state.get("teacher")),
        earlier=state.get("earlier", []),
        epochs=round(state["step"] * config.epochs / steps, 3),
        epochs_planned=config.epochs,
        seed=config.seed,
        seconds=round(state["seconds"], 1),
        device=state.get("device", ""),
    )
    return network.eval(), metadata


def load_trained(path: Path) -> tuple[torch.nn.Module, Metadata]:
    """The network of a checkpoint, or of a run's ``state.pt``, which has the float weights behind the signs too.

    Raises:
        CheckpointError: as load_checkpoint and from_training_state.
    """
    return from_training_state(path) if Path(path).suffix == ".pt" else load_checkpoint(path)


def _pack(network: torch.nn.Module) -> dict[str, np.ndarray]:
    arrays = {}
    for name, tensor in network.state_dict().items():
        if name.endswith(UNUSED):
            continue
        tensor = tensor.detach().cpu()
        value = np.ascontiguousarray(tensor.numpy())
        if not np.isfinite(value).all():
            raise CheckpointError(f"{name} is not finite: this network cannot be stored")
        if is_binary_weight(name):
            arrays[f"{name}.signs"] = np.packbits(value.ravel() >= 0)
            magnitudes = channel_magnitudes if network.config.channel_scales else mean_magnitude
            arrays[f"{name}.gamma"] = magnitudes(tensor).numpy()
        else:
            arrays[name] = value.astype(np.float32)
    return arrays


def _unpack(network: torch.nn.Module, arrays: dict[str, np.ndarray]) -> None:
    arrays, state = dict(arrays), {}
    for name, tensor in network.state_dict().items():
        if name.endswith(UNUSED):
            continue
        if is_binary_weight(name):
            signs, gamma = arrays.pop(f"{name}.signs"), arrays.pop(f"{name}.gamma")
            if len(signs) != -(-tensor.numel() // 8):
                raise ValueError(f"{name} has {len(signs)} bytes of signs")
            bits = np.unpackbits(signs, count=tensor.numel()).reshape(tuple(tensor.shape))
            gamma = gamma.reshape(-1, *[1] * (bits.ndim - 1))  # of the layer, or of each output channel
            state[name] = torch.from_numpy(np.where(bits, gamma, -gamma).astype(np.float32))
        else:
            state[name] = torch.from_numpy(arrays.pop(name))
    if arrays:
        raise ValueError(f"{next(iter(arrays))} is too many")
    load_weights(network, state, strict=False)


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = arrays[name]
        digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode() + value.tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    if path.exists() and not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}, but a folder, pipe or device: give a {SUFFIX} file")
    try:
        with path.open("rb") as file:
            blob = file.read(len(MAGIC))
            if blob == MAGIC:  # nothing else is worth its memory
                blob += file.read()
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {path}: train one with flow train") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if not blob.startswith(MAGIC):
        raise CheckpointError(f"{path} is no {SUFFIX} checkpoint, or its first bytes are damaged")
    start = len(MAGIC) + DIGEST_BYTES
    if hashlib.sha256(blob[start:]).digest() != blob[len(MAGIC) : start]:
        raise CheckpointError(f"{path} is damaged (its checksum differs): fetch it again")
    try:
        _require_small(path, blob[start:])
        with np.load(io.BytesIO(blob[start:]), allow_pickle=False) as stored:
            arrays = dict(stored)
        header = json.loads(arrays.pop("header").tobytes())
        if not isinstance(header, dict):
            raise ValueError("its header is no mapping")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise CheckpointError(f"{path} is no {SUFFIX} checkpoint ({error})".replace("\n", " ")) from error
    for name, value in arrays.items():
        if value.dtype.kind not in "fiub" or not np.isfinite(value).all():
            raise CheckpointError(
                f"{path}: {name} holds {_not_finite(value)}: the network computes nothing with it; train it again, or "
                "take an earlier checkpoint"
            )
    return header, arrays


def _require_arrays(path: Path, config: NetworkConfig, arrays: dict[str, np.ndarray]) -> None:
    """Raise CheckpointError if the network has other arrays than the file, before memory is taken for it."""
    with torch.device("meta"):
        expected = build_network(config).state_dict()
    needed = sum(tensor.numel() for name, tensor in expected.items() if not name.endswith(UNUSED))
    found = sum(value.size * (8 if name.endswith(".signs") else 1) for name, value in arrays.items())
    if needed > found:
        raise CheckpointError(
            f"{path} does not hold the arrays of {config.model} of width {config.width}: it needs {needed:,} values "
            f"({4 * needed / 2**30:.1f} GiB), and the file has {found:,}"
        )


def _not_finite(value: np.ndarray) -> str:
    """Return in words what of an array is no finite number."""
    if value.dtype.kind not in "fiub":
        return f"values of type {value.dtype}"
    return f"{int((~np.isfinite(value)).sum())} of {value.size} values that are NaN or infinite"


def _require_small(path: Path, container: bytes) -> None:
    """Raise CheckpointError if an array is larger than any network has, or than its header says, before it is read."""
    with zipfile.ZipFile(io.BytesIO(container)) as archive:
        total = sum(member.file_size for member in archive.infolist())
        if total > MOST_BYTES:
            raise CheckpointError(
                f"{path} would unpack to {total / 2**30:.1f} GiB, and no network takes more than "
                f"{MOST_BYTES / 2**30:g}: it is damaged, or no checkpoint"
            )
        for member in archive.infolist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
                announced = math.prod(shape) * dtype.itemsize
                if announced != member.file_size - file.tell():
                    raise CheckpointError(
                        f"{path}: {member.filename} says that it has {announced:,} bytes, and has "
                        f"{member.file_size - file.tell():,}: the file is damaged"
                    )

"""The folder that calls work in copies of: a checkpoint, a QONNX file with images and labels, and a finished build."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from brevitas_models.checkpoint import Metadata, save_checkpoint
from brevitas_models.config import NetworkConfig
from brevitas_models.networks import build_network

CHECKPOINT, ONNX, IMAGES, LABELS, BUILD = "tiny.popbin", "net.onnx", "images.npy", "labels.npy", "out"
BUILD_WORDS = ("flow", "build", "--checkpoint", CHECKPOINT, "--width", "4", "--output", BUILD)


def metadata(config: NetworkConfig) -> Metadata:
    """Return the metadata of a network that nobody trained."""
    return Metadata(network=config, data="none", command="none", epochs=0, epochs_planned=1, seed=0, seconds=0)


def make(folder: Path) -> Path:
    """Fill ``folder``; return it."""
    from tests.compiler.small import random_images
    from tests.compiler.test_foreign import Residual, exported, settled

    folder.mkdir(parents=True)
    torch.manual_seed(0)
    network = build_network(NetworkConfig(width=4)).eval()
    save_checkpoint(folder / CHECKPOINT, network, metadata(network.config))
    images = random_images(16, 16)
    np.save(folder / IMAGES, images)
    np.save(folder / LABELS, np.arange(len(images)) % 10)
    exported(settled(Residual(width=4), images), images, folder / ONNX)
    return folder


def build(folder: Path) -> None:
    """Make the finished build in ``folder``, with two images to simulate."""
    import flow

    before = os.getcwd()
    os.chdir(folder)  # names in it are relative
    try:
        flow.build(checkpoint=Path(CHECKPOINT), width=4, output=Path(BUILD), model="bireal18", strategy="qat")
    finally:
        os.chdir(before)

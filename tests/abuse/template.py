"""The folder that calls work in copies of: a checkpoint, a QONNX file with images and labels, and a finished build."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch

from brevitas_models.checkpoint import Metadata, save_checkpoint
from brevitas_models.config import NetworkConfig, TrainConfig
from brevitas_models.data import load_samples
from brevitas_models.networks import build_network
from brevitas_models.train import Trainer

CHECKPOINT, ONNX, IMAGES, LABELS, BUILD, RUN = "tiny.popbin", "net.onnx", "images.npy", "labels.npy", "out", "begun"
WIDE, WIDTH = "wide.onnx", 144  # a QONNX file with a PReLU of so many channels
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
    wide = settled(Residual(width=WIDTH), images)
    torch.nn.init.uniform_(wide.bend.weight, -0.5, 1.5)  # a slope a channel
    exported(wide, images, folder / WIDE)
    begin_run(folder / RUN)
    return folder


def begin_run(folder: Path) -> None:
    """Begin a training in ``folder``, and leave its state before the first step."""
    few = load_samples().spread(20)
    folder.mkdir()
    Trainer(NetworkConfig(width=4), TrainConfig(batch=10, compile=False), few, few, folder).save()


def build(folder: Path) -> None:
    """Make the finished build in ``folder``, with two images to simulate."""
    import flow

    before = os.getcwd()
    os.chdir(folder)  # names in it are relative
    try:
        flow.build(checkpoint=Path(CHECKPOINT), width=4, output=Path(BUILD), model="bireal18", strategy="qat")
    finally:
        os.chdir(before)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if not place.exists():
        make(place)
    build(place)  # what is finished with the same code is passed over

"""A package of a small network with weights in DDR, on 8 x 8 images, for the tests of the driver."""

from pathlib import Path

import numpy as np

from flow.emit.package import write_package
from flow.emit.rtl import emit_rtl
from flow.golden import Golden
from flow.sim.rtl import RtlAccelerator
from tests.graphs import random_images
from tests.rtl.test_top import deep_small_network

DESCRIPTION = {
    "model": "small",
    "strategy": "qat",
    "voter": "exact",
    "target": "pynq-z2",
    "labels": [],
    "logit_scale": 1.0,
}
BUILD_ID = "0123456789abcdeffedcba9876543210"
IMAGES = random_images(64)


def golden_logits() -> np.ndarray:
    return Golden(deep_small_network()).execute(IMAGES)


def emit_small(folder: Path) -> Path:
    """The RTL project."""
    return emit_rtl(deep_small_network(), folder, build_id=BUILD_ID, clock_mhz=100)


def make_package(rtl: Path, folder: Path, **more) -> Path:
    """Fills ``folder``; the right class of each image is the one the network gives."""
    golden, model = golden_logits(), deep_small_network()
    samples = IMAGES, golden.argmax(axis=1), golden
    return write_package(rtl, RtlAccelerator(rtl).library, folder, DESCRIPTION, samples, model, **more)

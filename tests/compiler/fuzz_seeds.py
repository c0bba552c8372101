"""The valid files that `fuzz` mutates: random ones, networks of ours, QCDQ, and those of other people."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

GROUPS = ("random", "random", "random", "ours", "qcdq", "cases", "cases", "cases")  # by how often they are drawn
RANDOM, OURS = 40, 10


@dataclass(frozen=True)
class Seed:
    """A valid file, with what its input is for pixels 0 and 255, and images uint8 [N, H, W, C] where it has its own."""

    name: str
    group: str
    content: bytes
    pixels: tuple[float, float]
    images: np.ndarray | None = None


def make(folder: Path, cases: Path) -> None:
    """Write all seeds into ``folder``, with a table of them; of ``cases`` those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [*_random(folder), *_ours(folder), *_qcdq(folder), *_cases(folder, cases)]
    (folder / "seeds.json").write_text(json.dumps(rows))


def load(folder: Path) -> dict[str, list[Seed]]:
    """Return the seeds that `make` wrote, by group."""
    found: dict[str, list[Seed]] = {group: [] for group in GROUPS}
    for row in json.loads((folder / "seeds.json").read_text()):
        images = folder / f"{row['name']}.npy"
        found[row["group"]].append(
            Seed(
                row["name"],
                row["group"],
                (folder / f"{row['name']}.onnx").read_bytes(),
                tuple(row["pixels"]),
                np.load(images) if images.exists() else None,
            )
        )
    return found


def _row(name: str, group: str, pixels) -> dict:
    return {"name": name, "group": group, "pixels": list(pixels)}


def _random(folder: Path):
    from .random_files import files, images_of, write
    from .random_networks import drawn

    for number in range(RANDOM):
        file = drawn(files(), number)
        write(file, folder / f"random{number}.onnx")
        np.save(folder / f"random{number}.npy", images_of(file))
        yield _row(f"random{number}", "random", file.pixels)


def _ours(folder: Path):
    from brevitas_models.export import export

    from .random_networks import drawn, networks
    from .small import SmallNetwork, random_images, settle

    for number in range(OURS):
        sample = drawn(networks(), number)
        images = random_images(32, sample.size, sample.seed)
        torch.manual_seed(sample.seed)
        network = settle(SmallNetwork(sample.config, sample.layers), images, sample.seed)
        export(network, folder / f"ours{number}.onnx", size=sample.size)
        np.save(folder / f"ours{number}.npy", images)
        yield _row(f"ours{number}", "ours", (0.0, 255.0))


def _qcdq(folder: Path):
    from brevitas.export import export_onnx_qcdq
    from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU

    for number, bits in enumerate((8, 4, 2)):
        torch.manual_seed(number)
        network = nn.Sequential(
            QuantIdentity(bit_width=8),
            QuantConv2d(3, 8, 3, padding=1, bias=False, weight_bit_width=bits),
            nn.BatchNorm2d(8),
            QuantReLU(bit_width=bits),
            nn.MaxPool2d(2),
            nn.Flatten(),
            QuantLinear(8 * 6 * 6, 10, bias=number == 0, weight_bit_width=bits),
        )
        with torch.no_grad():
            for _ in range(4):
                network.train()(torch.rand(32, 3, 12, 12) * 2 - 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = str(folder / f"qcdq{number}.onnx")
            export_onnx_qcdq(
                network.eval(), args=torch.zeros(1, 3, 12, 12), export_path=path, opset_version=13, dynamo=False
            )
        yield _row(f"qcdq{number}", "qcdq", (-1.0, 1.0))


def _cases(folder: Path, cases: Path):
    table = cases / "cases.json"
    for case in json.loads(table.read_text()) if table.is_file() else []:
        name, pixels = case["name"].replace("/", "_"), case["pixels"]
        (folder / f"{name}.onnx").write_bytes((cases / f"{case['name']}.onnx").read_bytes())
        yield _row(name, "cases", (-1.0, 1.0) if pixels == "bits" else map(float, pixels.split(",")))

"""Images a second of three trainings of one network: this flow's trainer, a plain Brevitas loop, and its float twin.

    python benchmarks/trainer.py --data DATA --output FILE.json

plain   Brevitas' own QuantConv2d and QuantIdentity (1-bit weights and activations, 8-bit ends), a standard DataLoader
        with torchvision-like augmentation in its workers, AdamW: what a Brevitas user writes first.
twin    the same layers without a quantizer (brevitas_models/twin.py) in this flow's trainer: data on the device,
        channels last, fused AdamW, torch.compile.
flow    the network of ``flow train``.

All three train the same batches in one run, in turns, and the best turn of each counts: the machines are shared. Exits
with 1 where the flow's trainer is below half the twin or below twice the plain loop.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
)
from torch import nn
from torch.utils.data import DataLoader, Dataset

from brevitas_models import kernels
from brevitas_models.augment import Augment
from brevitas_models.config import NetworkConfig
from brevitas_models.data import ImageSet, load_cifar
from brevitas_models.networks import build_network
from brevitas_models.state import device_name


class Block(nn.Module):
    """Shift, sign, convolution, BatchNorm, addition, shift, PReLU, shift, by Brevitas' quantizers."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        shape = dict(kernel_size=3, stride=stride, padding=1, bias=False)
        self.shift = nn.Parameter(torch.zeros(1, inputs, 1, 1))
        self.sign = qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst)
        self.conv = qnn.QuantConv2d(inputs, outputs, weight_quant=SignedBinaryWeightPerTensorConst, **shape)
        pointwise = qnn.QuantConv2d(inputs, outputs, 1, bias=False, weight_quant=Int8WeightPerTensorFloat)
        self.join = qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat)
        self.norm = nn.BatchNorm2d(outputs)
        self.shortcut = (
            nn.Sequential(nn.AvgPool2d(2), pointwise, nn.BatchNorm2d(outputs)) if stride == 2 else nn.Identity()
        )
        self.before, self.after = (nn.Parameter(torch.zeros(1, outputs, 1, 1)) for _ in range(2))
        self.bend = nn.PReLU(outputs)

    def forward(self, x):
        x = self.join(self.shortcut(x) + self.norm(self.conv(self.sign(x + self.shift))))
        return self.bend(x + self.before) + self.after


def reactnet18(width: int) -> nn.Module:
    """The layers of ReActNet-18; pixels 0..255 as input."""
    quantized = dict(weight_quant=Int8WeightPerTensorFloat)
    stem = qnn.QuantConv2d(3, width, 3, padding=1, bias=False, **quantized)
    layers, inputs = [stem, nn.BatchNorm2d(width)], width
    for stage in range(4):
        for index in range(4):
            layers.append(Block(inputs, width << stage, 2 if stage and not index else 1))
            inputs = width << stage
    dense = qnn.QuantLinear(inputs, 10, bias=True, **quantized)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense)


class Pictures(Dataset):
    """One image at a time, moved by up to 4 pixels and mirrored: torchvision's RandomCrop and RandomHorizontalFlip."""

    def __init__(self, images: ImageSet):
        self.images, self.labels = images.images, images.labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = torch.from_numpy(self.images[index]).permute(2, 0, 1).float()
        image = F.pad(image, (4, 4, 4, 4))
        y, x = torch.randint(0, 9, (2,)).tolist()
        image = image[:, y : y + 32, x : x + 32]
        return image.flip(2) if torch.rand(()) < 0.5 else image, self.labels[index]


def plain(images: ImageSet, width: int, batch: int, device: torch.device) -> Callable[[], None]:
    model = reactnet18(width).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(
        Pictures(images), batch_size=batch, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
    endless = (item for _ in iter(int, 1) for item in loader)

    def step():
        pixels, labels = next(endless)
        optimizer.zero_grad()
        F.cross_entropy(model(pixels.to(device) / 255), labels.to(device)).backward()
        optimizer.step()

    return step


def on_device(
    model: nn.Module, images: ImageSet, batch: int, device: torch.device, compiled: bool, clip: bool
) -> Callable[[], None]:
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    forward = torch.compile(model, dynamic=False) if compiled else model
    data, generator = Augment(images, device), torch.Generator().manual_seed(1)

    def step():
        index = torch.randint(0, len(images), (batch,), generator=generator)
        pixels, labels = data.batch(index, generator)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(forward(pixels.contiguous(memory_format=torch.channels_last)), labels).backward()
        optimizer.step()
        if clip:
            model.clip_latent_weights()

    return step


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4, help="of a turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    device, size = torch.device(arguments.device), (arguments.width, arguments.batch)
    images = load_cifar(arguments.data, "train")
    torch.manual_seed(1)
    by_kernels = kernels.usable(device, arguments.width)
    if by_kernels:
        kernels.keep_memory()  # for all three alike
    network = build_network(NetworkConfig(model="reactnet18", width=arguments.width))
    twin = build_network(NetworkConfig(model="twin18", strategy="none", width=arguments.width))
    steps = {
        "plain": plain(images, *size, device),
        "twin": on_device(twin, images, arguments.batch, device, True, False),
        "flow": on_device(network, images, arguments.batch, device, not by_kernels, True),
    }
    rates = {name: [] for name in steps}
    for step in steps.values():
        step(), step()  # compiles
    for _ in range(arguments.turns):
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(arguments.steps):
                step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            rates[name].append(arguments.steps * arguments.batch / (time.perf_counter() - started))
    best = {name: round(max(values), 1) for name, values in rates.items()}
    result = {
        "network": "reactnet18 qat",
        "width": arguments.width,
        "batch": arguments.batch,
        "device": device_name(device),
        "kernels": by_kernels,
        "torch": torch.__version__,
        "images/s": best,
        "flow/twin": round(best["flow"] / best["twin"], 2),
        "flow/plain": round(best["flow"] / best["plain"], 2),
    }
    print(json.dumps(result, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    return int(result["flow/twin"] < 0.5 or result["flow/plain"] < 2)


if __name__ == "__main__":
    sys.exit(main())

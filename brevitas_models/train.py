"""The trainer: data on the device, one-cycle AdamW, progressive resolution, resume after a kill."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F

from .config import NetworkConfig, TrainConfig
from .data import ImageSet
from .networks import build_network

MIDDLE = 128  # a pixel of value 128 is the network's zero; crops are padded with it


class TrainError(Exception):
    """Training cannot go on; the message says why and what is kept."""


class Augment:
    """Random 4-pixel shifts and mirroring of uint8 images that stay on the device."""

    def __init__(self, images: ImageSet, device: torch.device):
        pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2)
        self.padded = F.pad(pixels, (4, 4, 4, 4), value=MIDDLE).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)

    def batch(self, index: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Float pixels [B, 3, 32, 32] and labels [B] of the images ``index``."""
        count, device = len(index), self.padded.device
        shift = torch.randint(0, 9, (2, count), generator=generator).to(device)
        flip = torch.randint(0, 2, (count,), generator=generator).to(device).bool()
        span = torch.arange(32, device=device)
        columns = torch.where(flip[:, None], span.flip(0)[None], span[None]) + shift[1][:, None]
        rows = span[None] + shift[0][:, None]
        index = index.to(device)
        pixels = self.padded.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        return pixels.permute(0, 3, 1, 2).float(), self.labels[index]


def resized(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Pixels [B, 3, 32, 32] averaged down to [B, 3, size, size]."""
    if size == pixels.shape[-1]:
        return pixels
    return F.interpolate(pixels, size=(size, size), mode="area" if size == 16 else "bilinear", antialias=size != 16)


@torch.no_grad()
def accuracy(model: torch.nn.Module, images: ImageSet, batch: int = 250) -> tuple[float, float]:
    """Top-1 and top-5 in percent, on whole images at full resolution."""
    device = next(model.parameters()).device
    model.eval()
    top1 = top5 = 0
    for start in range(0, len(images), batch):
        pixels = torch.from_numpy(images.images[start : start + batch]).to(device).permute(0, 3, 1, 2).float()
        labels = torch.from_numpy(images.labels[start : start + batch]).to(device)
        best = model(pixels.contiguous(memory_format=torch.channels_last)).topk(5).indices == labels[:, None]
        top1 += best[:, 0].sum().item()
        top5 += best.any(1).sum().item()
    return 100.0 * top1 / len(images), 100.0 * top5 / len(images)


class Trainer:
    """Trains one network into a folder that it can be resumed from.

    ``folder/state.pt`` is replaced atomically about every ``save_seconds`` and at every epoch's end; the
    order and the augmentation of every batch follow from (seed, step), so a resumed run
    sees the same data as an uninterrupted one. ``folder/history.jsonl`` gets a line an epoch.
    """

    def __init__(
        self,
        network: NetworkConfig,
        config: TrainConfig,
        train: ImageSet,
        test: ImageSet,
        folder: Path,
        device: str = "cpu",
        save_seconds: float = 300.0,
    ):
        self.network, self.config, self.folder = network, config, Path(folder)
        self.device = torch.device(device)
        self.test, self.source = test, train.source
        self.save_seconds = save_seconds
        torch.manual_seed(config.seed)
        self.model = build_network(network).to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.lr, weight_decay=0.0, fused=True
        )
        self.data = Augment(train, self.device)
        self.steps_per_epoch = len(train) // config.batch
        self.steps = self.steps_per_epoch * config.epochs
        self.step, self.seconds, self.history = 0, 0.0, []
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def state_file(self) -> Path:
        return self.folder / "state.pt"

    def resume(self) -> bool:
        """Continues from ``folder/state.pt`` if it is there; True if so."""
        if not self.state_file.exists():
            return False
        try:
            state = torch.load(self.state_file, map_location=self.device, weights_only=True)
        except Exception as error:
            raise TrainError(f"{self.state_file} is damaged ({error}): remove it to start again") from error
        if state["network"] != self.network.model_dump() or state["config"] != self.config.model_dump():
            raise TrainError(f"{self.state_file} belongs to another network or recipe: use another --output")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        return True

    def save(self) -> None:
        state = {
            "network": self.network.model_dump(),
            "config": self.config.model_dump(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "source": self.source,
        }
        partial = self.state_file.with_suffix(".part")
        torch.save(state, partial)
        os.replace(partial, self.state_file)

    def _loss(self, forward, size: int) -> torch.Tensor:
        config = self.config
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if self._order_epoch != epoch:
            order = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
            self._order = torch.randperm(len(self.data.labels), generator=order)
            self._order_epoch = epoch
        index = self._order[position * config.batch : (position + 1) * config.batch]
        generator = torch.Generator().manual_seed(config.seed * 7_368_787 + self.step)
        pixels, labels = self.data.batch(index, generator)
        pixels = resized(pixels, size).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16) if config.bf16 else nullcontext():
            logits = forward(pixels)
        return F.cross_entropy(logits.float(), labels)

    def run(self, report: Callable[[dict], None], test_images: int = 2_000, report_every: int = 20) -> None:
        """Trains to the end; ``report`` gets a dict of progress every ``report_every`` steps.

        Raises:
            TrainError: the loss is not a number; the last good state stays in the folder.
        """
        forward = torch.compile(self.model, dynamic=False) if self.config.compile else self.model
        self._order_epoch, running, saved = -1, 0.0, time.monotonic()
        last, last_step = time.monotonic(), self.step
        try:
            while self.step < self.steps:
                self.model.train()
                progress = self.step / self.steps
                for group in self.optimizer.param_groups:
                    group["lr"] = self.config.rate(progress)
                size = self.config.resolution(progress)
                self.optimizer.zero_grad(set_to_none=True)
                loss = self._loss(forward, size)
                loss.backward()
                self.optimizer.step()
                self.model.clip_latent_weights()
                self.step += 1
                running += loss.detach()
                ends_epoch = self.step % self.steps_per_epoch == 0
                if self.step % report_every == 0 or ends_epoch:
                    now, count = time.monotonic(), self.step - last_step
                    self.seconds += now - last
                    mean_loss = float(running) / count
                    if not math.isfinite(mean_loss):
                        raise TrainError(
                            f"the loss is {mean_loss} at step {self.step}: lower --lr; the last good state is in "
                            f"{self.folder}"
                        )
                    rate = count * self.config.batch / (now - last)
                    report({"step": self.step, "steps": self.steps, "epoch": self.step / self.steps_per_epoch,
                            "size": size, "loss": mean_loss, "images_per_s": rate, "seconds": self.seconds})
                    running, last, last_step = 0.0, now, self.step
                if ends_epoch:
                    self._end_epoch(size, mean_loss, test_images, report)
                    saved = last = time.monotonic()
                elif time.monotonic() - saved > self.save_seconds and self.step == last_step:
                    self.save()
                    saved = last = time.monotonic()
        except KeyboardInterrupt:
            if self.step == last_step:
                self.save()
            raise

    def _end_epoch(self, size: int, loss: float, test_images: int, report) -> None:
        epoch = self.step // self.steps_per_epoch
        final = self.step == self.steps
        images = self.test if final else self.test.first(test_images)
        top1, top5 = accuracy(self.model, images)
        line = {"epoch": epoch, "size": size, "loss": round(loss, 4), "top1": round(top1, 2), "top5": round(top5, 2),
                "test_images": len(images), "seconds": round(self.seconds, 1)}
        self.history.append(line)
        self.save()
        with (self.folder / "history.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        report(line)

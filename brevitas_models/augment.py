"""Augmentation on the device: the whole training set lies there as bytes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .data import ImageSet

MIDDLE = 128  # a pixel of value 128 is the network's zero; crops are padded with it


class Augment:
    """Random shifts by up to ``shift`` pixels, and mirroring, of uint8 images that stay on the device."""

    def __init__(self, images: ImageSet, device: torch.device, shift: int = 4):
        pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2)
        self.shift = shift
        self.padded = F.pad(pixels, (shift,) * 4, value=MIDDLE).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)

    def batch(
        self, index: torch.Tensor, generator: torch.Generator, part: slice = slice(None)
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Float pixels [B, 3, 32, 32] and labels [B] of the images ``index``, or of a part of them, which is the same as in the whole."""
        count, device = len(index), self.padded.device
        shift = torch.randint(0, 2 * self.shift + 1, (2, count), generator=generator)[:, part].to(device)
        flip = torch.randint(0, 2, (count,), generator=generator)[part].to(device).bool()
        span = torch.arange(32, device=device)
        columns = torch.where(flip[:, None], span.flip(0)[None], span[None]) + shift[1][:, None]
        rows = span[None] + shift[0][:, None]
        index = index[part].to(device)
        pixels = self.padded.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        return pixels.permute(0, 3, 1, 2).float(), self.labels[index]


def resized(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Pixels [B, 3, 32, 32] averaged down to [B, 3, size, size]."""
    if size == pixels.shape[-1]:
        return pixels
    return F.interpolate(pixels, size=(size, size), mode="area" if size == 16 else "bilinear", antialias=size != 16)

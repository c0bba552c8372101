"""Augmentation on the device: the whole training set lies there as bytes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .data import ImageSet

MIDDLE = 128  # a pixel of value 128 is the network's zero; crops are padded with it


class Augment:
    """Random shifts by up to ``shift`` pixels, mirroring, and a blank square of side ``erase`` in half of the images.

    The uint8 images stay on the device. Random numbers are made by the generator of a batch, on its own device: where
    that is the images' device too, nothing is copied and the host waits for nothing.
    """

    def __init__(self, images: ImageSet, device: torch.device, shift: int = 4, erase: int = 0):
        pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2)
        self.shift, self.erase = shift, erase
        self.padded = F.pad(pixels, (shift,) * 4, value=MIDDLE).permute(0, 2, 3, 1).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)
        self.span = torch.arange(32, device=device)

    def batch(
        self, index: torch.Tensor, generator: torch.Generator, part: slice = slice(None)
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Float pixels [B, 3, 32, 32] and labels [B] of the images ``index``, or of a part of them, which is the same
        as in the whole.
        """
        count, device, span = len(index), self.padded.device, self.span

        def random(end: int, *shape: int) -> torch.Tensor:
            numbers = torch.randint(0, end, (*shape, count), generator=generator, device=generator.device)
            return numbers[..., part].to(device)

        shift, flip = random(2 * self.shift + 1, 2), random(2).bool()
        columns = torch.where(flip[:, None], span.flip(0)[None], span[None]) + shift[1][:, None]
        rows = span[None] + shift[0][:, None]
        index = index[part].to(device)
        pixels = self.padded[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        pixels = pixels.permute(0, 3, 1, 2).float()
        if self.erase:
            pixels = torch.where(self._blank(random(32 + self.erase, 2), random(2).bool()), float(MIDDLE), pixels)
        return pixels, self.labels[index]

    def _blank(self, ends: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Where images are blanked, [B, 1, 32, 32]: the square ends in front of row and column ``ends`` [2, B] and may
        stand out.
        """
        rows, columns = ((self.span < end) & (self.span >= end - self.erase) for end in ends[..., None])
        return (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None])[:, None]


def resized(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Pixels [B, 3, 32, 32] averaged down to [B, 3, size, size]."""
    if size == pixels.shape[-1]:
        return pixels
    return F.interpolate(pixels, size=(size, size), mode="area" if size == 16 else "bilinear", antialias=size != 16)

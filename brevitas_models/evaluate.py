"""Logits and accuracy of a network on whole images."""

from __future__ import annotations

import numpy as np
import torch

from .data import ImageSet
from .metrics import top1_top5


@torch.no_grad()
def logits_of(model: torch.nn.Module, images: np.ndarray, batch: int = 250) -> np.ndarray:
    """Logits [N, classes] of whole images, uint8 [N, 32, 32, 3]; the model is put into evaluation mode."""
    device = next(model.parameters()).device
    model.eval()
    found = []
    for start in range(0, len(images), batch):
        pixels = torch.from_numpy(images[start : start + batch]).to(device).permute(0, 3, 1, 2).float()
        found.append(model(pixels.contiguous(memory_format=torch.channels_last)))
    return torch.cat(found).cpu().numpy()  # at the end, so that a GPU is not waited for between the batches


def accuracy(model: torch.nn.Module, images: ImageSet) -> tuple[float, float]:
    """Top-1 and top-5 in percent, on whole images at full resolution."""
    return top1_top5(logits_of(model, images.images), images.labels)

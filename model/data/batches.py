"""Batches of augmented training images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from penstock.model.data.dataset import Dataset


def augment(images: Tensor, shift: int, mirror: bool, generator: torch.Generator) -> Tensor:
    """Moves by up to `shift` pixels and, if `mirror`, flips: [N, C, H, W], same shape."""
    count, _, height, width = images.shape
    padded = F.pad(images, (shift,) * 4).permute(0, 2, 3, 1)  # [N, H+2s, W+2s, C]
    offsets = torch.randint(0, 2 * shift + 1, (2, count, 1), generator=generator)
    rows = offsets[0] + torch.arange(height)  # [N, H]
    columns = offsets[1] + torch.arange(width)  # [N, W]
    if mirror:
        flips = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(flips, columns.flip(1), columns)
    image = torch.arange(count)
    moved = padded[image[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def batches(
    data: Dataset, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(data.train_labels), generator=generator)
    for index in order.split(batch_size):
        images = data.train_images[index]
        moved = augment(images, data.shift, data.mirror, generator)
        chosen = torch.rand(len(index), 1, 1, 1, generator=generator) < data.augment_share
        images = torch.where(chosen, moved, images)
        yield data.normalize(images), data.train_labels[index]

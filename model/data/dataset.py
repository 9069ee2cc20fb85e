"""A data set as a training run takes it: raw images, labels, and what turns them into input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Raw images, uint8 [N, C, H, W] with `full_scale` as white, and labels, int64 [N].

    The network sees (raw / full_scale - mean) / std, per channel: `normalize`.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    full_scale: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shift: int  # augmentation: random moves of up to so many pixels
    mirror: bool  # augmentation: flips, where a mirror image means the same class
    augment_share: float  # of the training images, in each batch
    class_names: tuple[str, ...] = ()  # by label; empty where labels are all there is

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return self.train_images.shape[1]

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self.train_images.shape[2], self.train_images.shape[3]

    @property
    def classes(self) -> int:
        """Classes, counted by the names, else by the labels."""
        greatest = max(int(self.train_labels.max()), int(self.test_labels.max()))
        return len(self.class_names) or greatest + 1

    def normalize(self, images: Tensor) -> Tensor:
        """Raw uint8 [N, C, H, W] -> network input, float32 [N, C, H, W]."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        return (images.to(torch.float32) / self.full_scale - mean) / std


def moments(images: Tensor, full_scale: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, from histograms: exact and small.

    The deviation of a channel that is the same everywhere is 1.
    """
    levels = torch.arange(256, dtype=torch.float64) / full_scale
    means, stds = [], []
    for channel in range(images.shape[1]):
        count = torch.bincount(images[:, channel].reshape(-1), minlength=256).to(torch.float64)
        share = count / count.sum()
        mean = float((share * levels).sum())
        means.append(round(mean, 4))
        stds.append(round(float((share * (levels - mean) ** 2).sum()) ** 0.5, 4) or 1.0)
    return tuple(means), tuple(stds)

"""Data sets: scikit-learn's digits and CIFAR-10 in its binary layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penstock.model.config import DATASETS
from penstock.model.errors import ConfigError, DataError
from penstock.program.optional import require

CIFAR_RECORD = 1 + 3 * 32 * 32  # label byte, then the red, green and blue planes
CIFAR_RECORDS = 10_000  # in each of the six files
CIFAR_HINT = (
    "point data_dir at the folder that holds cifar-10-batches-bin/ "
    "(the 'binary version' archive of CIFAR-10, unpacked)"
)


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

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return self.train_images.shape[1]

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self.train_images.shape[2], self.train_images.shape[3]

    def normalize(self, images: Tensor) -> Tensor:
        """Raw uint8 [N, C, H, W] -> network input, float32 [N, C, H, W]."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        return (images.to(torch.float32) / self.full_scale - mean) / std


def _moments(images: Tensor, full_scale: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, from histograms: exact and small."""
    levels = torch.arange(256, dtype=torch.float64) / full_scale
    means, stds = [], []
    for channel in range(images.shape[1]):
        count = torch.bincount(images[:, channel].reshape(-1), minlength=256).to(torch.float64)
        share = count / count.sum()
        mean = float((share * levels).sum())
        means.append(round(mean, 4))
        stds.append(round(float((share * (levels - mean) ** 2).sum()) ** 0.5, 4))
    return tuple(means), tuple(stds)


def load_digits(split_seed: int = 0) -> Dataset:
    """The 1797 8x8 digits of scikit-learn; a stratified fifth (360) is the test set.

    `split_seed` is apart from a training seed: runs with different seeds share a test set.
    """
    raw = require("sklearn.datasets").load_digits()
    images = raw.images.astype(np.uint8)[:, None]  # [1797, 1, 8, 8], 0..16
    split = require("sklearn.model_selection").train_test_split
    train_x, test_x, train_y, test_y = split(
        images, raw.target, test_size=0.2, random_state=split_seed, stratify=raw.target
    )
    train_images = torch.from_numpy(train_x)
    mean, std = _moments(train_images, 16)
    return Dataset(
        name="digits",
        train_images=train_images,
        train_labels=torch.from_numpy(train_y).to(torch.int64),
        test_images=torch.from_numpy(test_x),
        test_labels=torch.from_numpy(test_y).to(torch.int64),
        full_scale=16,
        mean=mean,
        std=std,
        shift=1,
        mirror=False,
        augment_share=0.5,  # moving all of them leaves nothing for the gates to tell apart
    )


def _read_cifar_file(path: Path, records: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images, uint8 [records, 3, 32, 32], and labels, int64 [records], of one file."""
    if not path.is_file():
        raise DataError(f"{path}: no such file", CIFAR_HINT)
    size, expected = path.stat().st_size, records * CIFAR_RECORD
    if size != expected:
        kind = "truncated" if size < expected else "too long"
        raise DataError(
            f"{path}: {kind}, {size} bytes instead of {expected}", "unpack the archive again"
        )
    rows = np.fromfile(path, dtype=np.uint8).reshape(records, CIFAR_RECORD)
    labels = rows[:, 0].astype(np.int64)
    if labels.max() > 9:
        record = int(np.argmax(labels > 9))
        raise DataError(
            f"{path}: record {record} has label {labels[record]}, not one of 0..9",
            "this is not CIFAR-10 (CIFAR-100 has two label bytes); unpack the right archive",
        )
    return rows[:, 1:].reshape(records, 3, 32, 32), labels


def load_cifar10(data_dir: Path | str, records: int = CIFAR_RECORDS) -> Dataset:
    """CIFAR-10 from data_batch_1..5.bin and test_batch.bin, `records` images in each.

    `data_dir` holds cifar-10-batches-bin/, or is that folder.  Raises DataError.
    """
    folder = Path(data_dir)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", CIFAR_HINT)
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    train = [_read_cifar_file(folder / f"data_batch_{i}.bin", records) for i in range(1, 6)]
    test_images, test_labels = _read_cifar_file(folder / "test_batch.bin", records)
    train_images = torch.from_numpy(np.concatenate([images for images, _ in train]))
    mean, std = _moments(train_images, 255)
    return Dataset(
        name="cifar10",
        train_images=train_images,
        train_labels=torch.from_numpy(np.concatenate([labels for _, labels in train])),
        test_images=torch.from_numpy(test_images.copy()),
        test_labels=torch.from_numpy(test_labels),
        full_scale=255,
        mean=mean,
        std=std,
        shift=4,
        mirror=True,
        augment_share=1.0,
    )


def load_dataset(name: str, data_dir: Path | str | None) -> Dataset:
    """The data set of that name; CIFAR-10 needs `data_dir`.  Raises ModelError."""
    if name == "digits":
        return load_digits()
    if name != "cifar10":
        raise ConfigError(f"unknown dataset {name!r}", f"one of {DATASETS}")
    if data_dir is None:
        raise DataError("CIFAR-10 has no data folder", CIFAR_HINT)
    return load_cifar10(data_dir)

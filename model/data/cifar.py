"""CIFAR-10 and CIFAR-100 in their binary layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from penstock.model.data.dataset import Dataset, moments
from penstock.model.errors import DataError

PIXELS = 3 * 32 * 32  # the red, green and blue planes
CIFAR_RECORD = 1 + PIXELS  # label byte first; CIFAR-100 has two, the coarse one first
CIFAR_RECORDS = 10_000  # in each of the six files
CIFAR_HINT = (
    "point data_dir at the folder that holds cifar-10-batches-bin/ "
    "(the 'binary version' archive of CIFAR-10, unpacked)"
)
CIFAR100_HINT = (
    "point data_dir at the folder that holds cifar-100-binary/ "
    "(the 'binary version' archive of CIFAR-100, unpacked)"
)
CIFAR10_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
WRONG_ARCHIVE = "this is not CIFAR-10 (CIFAR-100 has two label bytes); unpack the right archive"


def _read_file(
    path: Path, records: int, *, labels: int, classes: int, hint: str, wrong: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images, uint8 [records, 3, 32, 32], and labels, int64 [records], of one file.

    `labels`: bytes in front of an image, of which the last counts.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file", hint)
    size, expected = path.stat().st_size, records * (labels + PIXELS)
    if size != expected:
        kind = "truncated" if size < expected else "too long"
        raise DataError(
            f"{path}: {kind}, {size} bytes instead of {expected}", "unpack the archive again"
        )
    rows = np.fromfile(path, dtype=np.uint8).reshape(records, labels + PIXELS)
    found = rows[:, labels - 1].astype(np.int64)
    if found.max() >= classes:
        record = int(np.argmax(found >= classes))
        raise DataError(
            f"{path}: record {record} has label {found[record]}, not one of 0..{classes - 1}", wrong
        )
    return rows[:, labels:].reshape(records, 3, 32, 32), found


def load_cifar10(data_dir: Path | str, records: int = CIFAR_RECORDS) -> Dataset:
    """CIFAR-10 from data_batch_1..5.bin and test_batch.bin, `records` images in each.

    `data_dir` holds cifar-10-batches-bin/, or is that folder.  Raises DataError.
    """
    folder = _inside(Path(data_dir), "cifar-10-batches-bin", CIFAR_HINT)
    names = [f"data_batch_{i}.bin" for i in range(1, 6)]
    parts = [
        _read_file(
            folder / name, records, labels=1, classes=10, hint=CIFAR_HINT, wrong=WRONG_ARCHIVE
        )
        for name in (*names, "test_batch.bin")
    ]
    named = read_class_names(folder / "batches.meta.txt", 10) or CIFAR10_NAMES
    return _dataset("cifar10", parts[:-1], parts[-1], tuple(named))


def load_cifar100(
    data_dir: Path | str, train_records: int = 50_000, test_records: int = 10_000
) -> Dataset:
    """CIFAR-100, its 100 fine labels, from train.bin and test.bin.

    `data_dir` holds cifar-100-binary/, or is that folder.  Raises DataError.
    """
    folder = _inside(Path(data_dir), "cifar-100-binary", CIFAR100_HINT)
    train, test = (
        _read_file(
            *(folder / f"{part}.bin", records),
            labels=2,
            classes=100,
            hint=CIFAR100_HINT,
            wrong="this is not CIFAR-100 in its binary version",
        )
        for part, records in (("train", train_records), ("test", test_records))
    )
    named = read_class_names(folder / "fine_label_names.txt", 100) or map(str, range(100))
    return _dataset("cifar100", [train], test, tuple(named))


def read_class_names(path: Path, classes: int) -> list[str]:
    """Names of the classes, a line each; none if there is no such file.  Raises DataError."""
    if not path.is_file():
        return []
    try:
        names = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text", "a name of a class on each line") from error
    names = [name.strip() for name in names if name.strip()]
    if len(names) != classes:
        raise DataError(
            f"{path}: {len(names)} names for {classes} classes", "a name of a class on each line"
        )
    return names


def _inside(folder: Path, name: str, hint: str) -> Path:
    """The unpacked folder, given itself or what holds it."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", hint)
    return folder / name if (folder / name).is_dir() else folder


def _dataset(
    name: str,
    train: list[tuple[NDArray[np.uint8], NDArray[np.int64]]],
    test: tuple[NDArray[np.uint8], NDArray[np.int64]],
    class_names: tuple[str, ...],
) -> Dataset:
    train_images = torch.from_numpy(np.concatenate([images for images, _ in train]))
    mean, std = moments(train_images, 255)
    return Dataset(
        name=name,
        train_images=train_images,
        train_labels=torch.from_numpy(np.concatenate([labels for _, labels in train])),
        test_images=torch.from_numpy(test[0].copy()),
        test_labels=torch.from_numpy(test[1]),
        full_scale=255,
        mean=mean,
        std=std,
        shift=4,
        mirror=True,
        augment_share=1.0,
        class_names=class_names,
    )

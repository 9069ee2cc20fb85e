"""Data sets out of arrays: .npz and .npy files, SVHN's .mat files, and what a function returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from penstock.model.data.dataset import Dataset, moments
from penstock.model.errors import DataError
from penstock.program.base.optional import require

Arrays = Mapping[str, NDArray[Any]]
#: Names of the arrays of a data set that is divided already, and of one that is not.
DIVIDED = ("train_images", "train_labels", "test_images", "test_labels")
WHOLE = ("images", "labels")
NAMES = "class_names"
HINT = f"{', '.join(DIVIDED)}; or {' and '.join(WHOLE)}, of which a fifth becomes the test set"
#: Share of the images that is the test set, of a data set that is not divided.
TEST_SHARE = 0.2
#: Moved by so many pixels at most: an image's side over this.
SHIFT_OF_SIDE = 8


def from_arrays(name: str, arrays: Arrays, source: str) -> Dataset:
    """A data set of uint8 images and whole numbers from 0 on as labels.

    Images are [N, C, H, W], [N, H, W, C] with 1 or 3 channels, or [N, H, W]; `source` is what a
    message calls them.  `class_names`, if there, are texts, one a class.

    Raises:
        DataError: an array is missing, of another type or shape, or does not fit the others.
    """
    divided = all(key in arrays for key in DIVIDED)
    keys = DIVIDED if divided else WHOLE
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise DataError(f"{source} has no '{missing[0]}'", HINT)
    pairs = [
        _pair(arrays[images], arrays[labels], f"{source}: {images}")
        for images, labels in zip(keys[::2], keys[1::2], strict=True)
    ]
    if not divided:
        pairs = _divided(*pairs[0], source)
    (train_images, train_labels), (test_images, test_labels) = pairs
    if train_images.shape[1:] != test_images.shape[1:]:
        shapes = [" x ".join(map(str, x.shape[1:])) for x in (train_images, test_images)]
        raise DataError(
            f"{source}: training images are {shapes[0]}, test images {shapes[1]} (C x H x W)",
            "bring all to one size",
        )
    names = _names(arrays.get(NAMES), source)
    known = torch.from_numpy(np.ascontiguousarray(train_images))
    mean, std = moments(known, 255)
    found = Dataset(
        name=name,
        train_images=known,
        train_labels=torch.from_numpy(train_labels),
        test_images=torch.from_numpy(np.ascontiguousarray(test_images)),
        test_labels=torch.from_numpy(test_labels),
        full_scale=255,
        mean=mean,
        std=std,
        shift=min(train_images.shape[2:]) // SHIFT_OF_SIDE,
        mirror=False,  # nobody said that a mirror image means the same
        augment_share=0.5,
    )
    if names and len(names) < found.classes:
        raise DataError(
            f"{source}: {len(names)} class names, and a label {found.classes - 1}",
            "a name for each class, in the order of the labels",
        )
    return replace(found, class_names=names)


def load_arrays(path: Path) -> Dataset:
    """An .npz archive, or an .npy of images with labels.npy beside it.  Raises DataError."""
    files = [path] if path.suffix == ".npz" else [path, path.with_name("labels.npy")]
    arrays: dict[str, NDArray[Any]] = {}
    for file in files:
        try:
            loaded = np.load(file, allow_pickle=False)
            if file.suffix == ".npz":
                arrays |= {key: loaded[key] for key in loaded.files}
            else:
                arrays["images" if file == path else "labels"] = loaded
        except FileNotFoundError as error:
            beside = "" if file == path else f", the labels of {path.name}"
            raise DataError(f"cannot read {file}{beside}: no such file", HINT) from error
        except Exception as error:  # NumPy passes on whatever zipfile and tokenize raise
            raise DataError(
                f"{file} cannot be read as NumPy arrays", "write it with numpy.savez or save"
            ) from error
    return from_arrays("arrays", arrays, str(path))


def load_svhn(data_dir: Path | str) -> Dataset:
    """SVHN's cropped digits from train_32x32.mat and test_32x32.mat.  Raises DataError."""
    arrays: dict[str, NDArray[Any]] = {}
    for part in ("train", "test"):
        path = Path(data_dir) / f"{part}_32x32.mat"
        if not path.is_file():
            raise DataError(
                f"{path}: no such file", "point data_dir at the folder of train_32x32.mat"
            )
        try:
            content = require("scipy.io").loadmat(path)
            arrays[f"{part}_images"] = content["X"].transpose(3, 2, 0, 1)
            arrays[f"{part}_labels"] = content["y"].reshape(-1).astype(np.int64) % 10  # 10 is a 0
        except DataError:
            raise
        except Exception as error:  # SciPy passes on what a damaged file makes it raise
            raise DataError(f"{path}: not SVHN's file", "download it again") from error
    arrays[NAMES] = np.array(list("0123456789"))
    return from_arrays("svhn", arrays, str(data_dir))


def _pair(images: Any, labels: Any, source: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images [N, C, H, W] and their labels, checked."""
    images, labels = (
        (x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x))
        for x in (images, labels)
    )
    if images.dtype != np.uint8:
        raise DataError(
            f"{source} are {images.dtype}, expected uint8", "pixels of 0 to 255 as they are"
        )
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = np.moveaxis(images, 3, 1)
    if images.ndim != 4 or 0 in images.shape:
        raise DataError(
            f"{source} have shape {images.shape}", "N x C x H x W, or N x H x W x 3, N from 1"
        )
    labels = labels.reshape(-1) if labels.size == len(images) else labels
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{source}: {len(images)} images, labels of {labels.dtype} {labels.shape}",
            "a whole number for each image",
        )
    if int(labels.min()) < 0:
        raise DataError(f"{source}: a label is {int(labels.min())}", "labels start at 0")
    return images, labels.astype(np.int64)


def _divided(
    images: NDArray[np.uint8], labels: NDArray[np.int64], source: str
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """(training, test): a fifth of each class is the test set, the same in every run."""
    counts = np.bincount(labels)
    rare = [label for label, count in enumerate(counts) if count == 1]
    if rare:
        raise DataError(
            f"{source}: label {rare[0]} has one image", "two at least: one to train, one to test"
        )
    split = require("sklearn.model_selection").train_test_split
    test = max(round(TEST_SHARE * len(labels)), int((counts > 0).sum()))
    if test > len(labels) - int((counts > 0).sum()):
        raise DataError(f"{source}: {len(labels)} images are too few to divide", "bring more")
    train, held = split(np.arange(len(labels)), test_size=test, random_state=0, stratify=labels)
    return [(images[part], labels[part]) for part in (train, held)]


def _names(given: Any, source: str) -> tuple[str, ...]:
    if given is None:
        return ()
    names = np.asarray(given)
    if names.ndim != 1 or names.dtype.kind not in "U":
        raise DataError(f"{source}: class_names are {names.dtype} {names.shape}", "texts, in order")
    return tuple(str(name) for name in names)

"""Image files in a folder a class: PyTorch's ImageFolder layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.model.data.arrays import DIVIDED, NAMES, WHOLE, from_arrays
from penstock.model.data.dataset import Dataset
from penstock.model.errors import DataError
from penstock.program.base.optional import require

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp", ".gif"}
TRAIN = ("train",)
TEST = ("test", "val", "valid")
LAYOUT = "a folder for each class, images in it; or train/ and test/ with such folders"
#: Modes of Pillow with one channel, and those whose values are no bytes.
GRAY = {"L", "1", "LA"}
DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}


def load_folder(root: Path) -> Dataset:
    """A data set out of image files: <root>/<class>/<image>, or train/ and test/ in between.

    Classes are the folders' names in alphabetical order.  Gray images have one channel; if any has
    colour, all have three.

    Raises:
        DataError: no image, a file that is none, images of two sizes, test classes of other names.
    """
    parts = {
        "train": next((root / name for name in TRAIN if (root / name).is_dir()), None),
        "test": next((root / name for name in TEST if (root / name).is_dir()), None),
    }
    if parts["train"] is None or parts["test"] is None:
        names, files = _files(root)
        images = _images([file for file, _ in files])
        labels = np.array([label for _, label in files])
        arrays: dict[str, NDArray[Any]] = dict(zip(WHOLE, (images, labels), strict=True))
    else:
        names, train = _files(parts["train"])
        others, test = _files(parts["test"])
        if others != names:
            odd = sorted(set(names) ^ set(others))[0]
            raise DataError(f"{root}: class '{odd}' is in one of train and test alone", LAYOUT)
        images = _images([file for file, _ in (*train, *test)])
        labels = np.array([label for _, label in (*train, *test)])
        count = len(train)
        halves = (images[:count], labels[:count], images[count:], labels[count:])
        arrays = dict(zip(DIVIDED, halves, strict=True))
    return from_arrays("folder", arrays | {NAMES: np.array(names)}, str(root))


def is_folder(root: Path) -> bool:
    """Whether a folder has folders in it."""
    return any(path.is_dir() and not path.name.startswith(".") for path in root.iterdir())


def _files(root: Path) -> tuple[list[str], list[tuple[Path, int]]]:
    """The classes, and every image with its label, in the order of their names."""
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(classes) < 2:
        raise DataError(f"{root}: {len(classes)} folders of images, two classes at least", LAYOUT)
    found: list[tuple[Path, int]] = []
    for label, folder in enumerate(classes):
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"{folder}: no image in it", LAYOUT)
        found += [(file, label) for file in files]
    return [folder.name for folder in classes], found


def _images(files: list[Path]) -> NDArray[np.uint8]:
    """uint8 [N, 1 or 3, H, W]."""
    image = require("PIL.Image")
    opened: list[Any] = []
    for file in files:
        try:
            with image.open(file) as picture:
                picture.load()
                opened.append(picture.copy())
        except Exception as error:  # Pillow raises what its decoders raise
            raise DataError(
                f"{file} cannot be read as an image: {type(error).__name__}", "remove or repair it"
            ) from error
        if opened[-1].mode in DEEP:
            raise DataError(
                f"{file} has values of more than 8 bits ({opened[-1].mode})", "convert it to 8 bits"
            )
        if opened[-1].size != opened[0].size:
            sizes = [f"{p.size[0]} x {p.size[1]}" for p in (opened[0], opened[-1])]
            raise DataError(
                f"{files[0]} is {sizes[0]}, {file} {sizes[1]} (width x height)",
                "bring all images to one size first",
            )
    mode = "L" if all(picture.mode in GRAY for picture in opened) else "RGB"
    rows = [np.asarray(picture.convert(mode)) for picture in opened]
    stacked = np.stack(rows)
    return stacked[:, None] if mode == "L" else np.moveaxis(stacked, 3, 1)

"""Data sets by name, by the path of their files, or by a function of the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.model.data.arrays import DIVIDED, from_arrays, load_arrays, load_svhn
from penstock.model.data.cifar import CIFAR_HINT, load_cifar10, load_cifar100
from penstock.model.data.dataset import Dataset
from penstock.model.data.digits import load_digits
from penstock.model.data.folder import is_folder, load_folder
from penstock.model.errors import ConfigError, DataError
from penstock.model.files.reference import is_reference, load_object

__all__ = [
    "Dataset",
    "load_cifar10",
    "load_cifar100",
    "load_dataset",
    "load_digits",
    "load_folder",
]
#: What a folder holds -> the data set it is.
MARKS = {
    "cifar-10-batches-bin": "cifar10",
    "data_batch_1.bin": "cifar10",
    "cifar-100-binary": "cifar100",
    "fine_label_names.txt": "cifar100",
    "train_32x32.mat": "svhn",
}


def kind_of_data(path: Path) -> str:
    """The name under which `load_dataset` takes what lies at a path.  Raises DataError."""
    if path.suffix in (".npz", ".npy"):
        return "arrays"
    if not path.is_dir():
        raise DataError(
            f"no data at {path}",
            "a folder of images, .npz or .npy arrays, the files of CIFAR or SVHN, or a function "
            "pkg.module:name",
        )
    named = next((name for mark, name in MARKS.items() if (path / mark).exists()), None)
    if named is None and not is_folder(path):
        raise DataError(
            f"{path}: no data set in it", "a folder for each class, or the files of CIFAR or SVHN"
        )
    return named or "folder"


def load_dataset(name: str, data_dir: Path | str | None = None) -> Dataset:
    """The data set of a name of `DATASETS`; all but digits lie at `data_dir`.  Raises ModelError.

    "folder": image files, a folder a class; "arrays": an .npz or .npy file; `pkg.module:name`: a
    function of the caller's without arguments that returns a `Dataset`, or a mapping of arrays as
    an .npz file has them, or those four in order.
    """
    if name == "digits":
        return load_digits()
    if is_reference(name):
        return _of_function(name)
    if name not in DATASETS:
        raise ConfigError(f"unknown dataset {name!r}", f"one of {DATASETS}")
    if data_dir is None:
        hint = CIFAR_HINT if name == "cifar10" else "data_dir, or --data: where its files lie"
        title = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}.get(name, name)
        raise DataError(f"{title} has no data folder", hint)
    path = Path(data_dir)
    if name == "arrays":
        return load_arrays(path)
    if name == "folder":
        kind_of_data(path)
        return load_folder(path)
    if name == "svhn":
        return load_svhn(path)
    return load_cifar10(path) if name == "cifar10" else load_cifar100(path)


def _of_function(name: str) -> Dataset:
    """What the function of that name returns."""
    made: Any = load_object(name, "dataset")
    made = made() if callable(made) else made
    if isinstance(made, Dataset):
        return made
    if isinstance(made, tuple) and len(made) == len(DIVIDED):
        made = dict(zip(DIVIDED, made, strict=True))
    if not isinstance(made, Mapping):
        raise DataError(
            f"{name} returned {type(made).__name__}",
            f"a penstock.model.Dataset, or a mapping of {', '.join(DIVIDED)}",
        )
    return from_arrays(name, made, name)


DATASETS = ("digits", "cifar10", "cifar100", "svhn", "folder", "arrays")

"""Loaders: what they give, and what they say about damaged files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from penstock.model import DataError, Dataset
from penstock.model.data.batches import augment
from penstock.model.data.cifar import CIFAR_RECORD, load_cifar10
from penstock.model.data.load import load_dataset

RECORDS = 3
FILES = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]


@pytest.fixture
def cifar(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder in CIFAR-10's binary layout with three images a file."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in FILES:
        rows = rng.integers(0, 256, (RECORDS, CIFAR_RECORD), dtype=np.uint8)
        rows[:, 0] = rng.integers(0, 10, RECORDS)
        rows.tofile(folder / name)
    return tmp_path


def test_digits_split_is_stratified_and_stable(digits: Dataset) -> None:
    assert digits.train_images.shape == (1437, 1, 8, 8)
    assert digits.test_images.shape == (360, 1, 8, 8)
    counts = torch.bincount(digits.test_labels, minlength=10)
    assert counts.min() >= 34
    assert counts.max() <= 38
    again = load_dataset("digits")
    assert torch.equal(again.test_images, digits.test_images)


def test_digits_are_normalized_as_recorded(digits: Dataset) -> None:
    x = digits.normalize(digits.train_images)
    assert x.dtype == torch.float32
    assert float(x.mean()) == pytest.approx(0.0, abs=1e-3)
    assert float(x.std()) == pytest.approx(1.0, abs=1e-3)
    raw = x * digits.std[0] + digits.mean[0]
    assert float(raw.min()) == pytest.approx(0.0, abs=1e-6)
    assert float(raw.max()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("inside", [False, True])
def test_cifar_layout(cifar: Path, inside: bool) -> None:
    folder = cifar / "cifar-10-batches-bin"
    data = load_cifar10(folder if inside else cifar, records=RECORDS)
    rows = np.fromfile(folder / "data_batch_2.bin", dtype=np.uint8).reshape(RECORDS, -1)
    assert data.train_images.shape == (5 * RECORDS, 3, 32, 32)
    assert data.train_labels[RECORDS] == rows[0, 0]
    # label, then 1024 red bytes, 1024 green, 1024 blue, each row by row
    assert data.train_images[RECORDS, 1, 2, 5] == rows[0, 1 + 1024 + 2 * 32 + 5]
    x = data.normalize(data.train_images)
    assert x.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0.0] * 3, abs=1e-3)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder .*cifar-10-batches-bin"):
        load_cifar10(tmp_path / "nowhere")


def test_no_folder_given() -> None:
    with pytest.raises(DataError, match=r"no data folder .*point data_dir at"):
        load_dataset("cifar10", None)


def test_missing_file(cifar: Path) -> None:
    (cifar / "cifar-10-batches-bin" / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_4.bin: no such file .*point data_dir at"):
        load_cifar10(cifar, records=RECORDS)


@pytest.mark.parametrize("size", [0, CIFAR_RECORD, RECORDS * CIFAR_RECORD - 1])
def test_truncated_file(cifar: Path, size: int) -> None:
    path = cifar / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=f"test_batch.bin: truncated, {size} bytes instead of 9219"):
        load_cifar10(cifar, records=RECORDS)


def test_too_long_file(cifar: Path) -> None:
    path = cifar / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="too long, 9220 bytes instead of 9219"):
        load_cifar10(cifar, records=RECORDS)


def test_label_out_of_range(cifar: Path) -> None:
    path = cifar / "cifar-10-batches-bin" / "data_batch_1.bin"
    content = bytearray(path.read_bytes())
    content[CIFAR_RECORD] = 10
    path.write_bytes(bytes(content))
    with pytest.raises(
        DataError, match=r"data_batch_1.bin: record 1 has label 10, not one of 0..9"
    ):
        load_cifar10(cifar, records=RECORDS)


def test_augmentation_moves_and_mirrors_whole_images() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    image[:, 0, 3, 2:5] = torch.tensor([1, 2, 3], dtype=torch.uint8)
    moved = augment(image, 1, False, generator)
    places = {tuple(int(v) for v in place) for place in (moved == 1).nonzero()[:, 2:]}
    assert places == {(row, column) for row in (2, 3, 4) for column in (1, 2, 3)}
    mirrored = augment(image, 1, True, generator)
    rows = {tuple(r[r > 0].tolist()) for m in mirrored[:, 0] for r in m if r.any()}
    assert rows == {(1, 2, 3), (3, 2, 1)}

"""Data sets of one's own: folders, arrays, functions, and the standard files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from penstock.model.data.cifar import load_cifar100
from penstock.model.data.load import kind_of_data, load_dataset
from penstock.model.errors import ModelError


def test_folder_a_class(own: Path) -> None:
    data = load_dataset("folder", own / "pictures")
    assert data.class_names == ("cat", "cow", "dog") and data.classes == 3
    assert data.train_images.dtype == torch.uint8
    assert (data.train_images.shape, data.test_images.shape) == ((48, 3, 9, 7), (12, 3, 9, 7))
    assert torch.bincount(data.test_labels).tolist() == [4, 4, 4]
    for images, labels in (
        (data.train_images, data.train_labels),
        (data.test_images, data.test_labels),
    ):
        marked = [images[i, label, 3 * label : 3 * label + 3] for i, label in enumerate(labels)]
        assert all((part == 250).all() for part in marked)
    normal = data.normalize(data.train_images)
    assert abs(float(normal.mean())) < 0.01 and abs(float(normal.std()) - 1) < 0.01
    again = load_dataset("folder", own / "pictures")
    assert torch.equal(data.test_images, again.test_images)


def test_train_and_test_folders_and_gray_images(own: Path) -> None:
    from PIL import Image

    for part, count in (("train", 3), ("val", 2)):
        for name in ("b", "a"):
            (own / "gray" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("L", (5, 4), number).save(own / "gray" / part / name / f"{number}.bmp")
    data = load_dataset("folder", own / "gray")
    assert data.class_names == ("a", "b")
    assert (data.train_images.shape, data.test_images.shape) == ((6, 1, 4, 5), (4, 1, 4, 5))
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    Image.new("RGB", (5, 4), (1, 2, 3)).save(own / "gray" / "train" / "a" / "0.bmp")
    data = load_dataset("folder", own / "gray")
    assert data.in_channels == 3 and data.train_images[0, :, 0, 0].tolist() == [1, 2, 3]
    (own / "gray" / "val" / "a").rename(own / "gray" / "val" / "c")
    with pytest.raises(ModelError, match="'a' is in one of train and test alone"):
        load_dataset("folder", own / "gray")


def arrays(**changed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (30, 4, 5, 3), dtype=np.uint8)
    return {"images": images, "labels": np.arange(30) % 5, **changed}


def test_archives_and_arrays(own: Path) -> None:
    np.savez(own / "a.npz", **arrays())
    data = load_dataset(kind_of_data(own / "a.npz"), own / "a.npz")
    assert data.train_images.shape == (24, 3, 4, 5) and data.classes == 5
    halves = {"train_images": arrays()["images"][..., 0], "train_labels": np.arange(30) % 5}
    halves |= {"test_images": halves["train_images"][:7], "test_labels": np.arange(7) % 5}
    np.savez(own / "b.npz", **halves)
    data = load_dataset("arrays", own / "b.npz")
    assert (data.train_images.shape, data.test_images.shape) == ((30, 1, 4, 5), (7, 1, 4, 5))
    assert np.array_equal(data.test_images[:, 0].numpy(), halves["test_images"])
    np.save(own / "x.npy", arrays()["images"].transpose(0, 3, 1, 2))
    np.save(own / "labels.npy", arrays()["labels"][:, None])
    data = load_dataset("arrays", own / "x.npy")
    assert data.train_images.shape == (24, 3, 4, 5)


def test_a_constant_channel_has_finite_input(own: Path) -> None:
    images = np.zeros((10, 1, 4, 4), np.uint8)
    np.savez(own / "a.npz", images=images, labels=np.arange(10) % 2)
    data = load_dataset("arrays", own / "a.npz")
    assert torch.isfinite(data.normalize(data.train_images)).all()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "float": ({"images": np.zeros((30, 3, 4, 5), np.float32)}, "expected uint8"),
    "vectors": ({"images": np.zeros((30, 5), np.uint8)}, "N x C x H x W"),
    "labels": ({"labels": np.arange(29) % 5}, "30 images, labels of int64 (29,)"),
    "soft labels": ({"labels": np.ones(30)}, "a whole number for each image"),
    "negative": ({"labels": np.arange(30) % 5 - 1}, "a label is -1"),
    "rare": ({"labels": np.r_[np.zeros(29, int), 1]}, "label 1 has one image"),
    "names": ({"class_names": np.array(["a", "b"])}, "2 class names, and a label 4"),
}


@pytest.mark.parametrize("form", WRONG)
def test_arrays_that_are_refused(own: Path, form: str) -> None:
    changed, words = WRONG[form]
    np.savez(own / "a.npz", **arrays(**changed))
    with pytest.raises(ModelError) as caught:
        load_dataset("arrays", own / "a.npz")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_data_that_is_not_there_or_damaged(own: Path, penstock: Any) -> None:
    from PIL import Image

    start = ("train", "--network", "usernets:plain", "-o", "n.pt", "--data")
    (own / "empty").mkdir()
    (own / "holey").mkdir()
    for name in ("a", "b"):
        (own / "holey" / name).mkdir()
    np.save(own / "alone.npy", arrays()["images"])
    (own / "bad.npz").write_bytes(b"no archive")
    messages = {
        "nowhere": "no data at nowhere",
        "empty": "no data set in it",
        "holey": "no image in it",
        "alone.npy": "labels of alone.npy",
        "bad.npz": "cannot be read as NumPy arrays",
        "usernets:nothing": "has no 'nothing'",
        "usernets:wrong_data": "returned int",
    }
    for data, words in messages.items():
        assert words in penstock(*start, data).error
    Image.new("RGB", (8, 9)).save(own / "pictures" / "dog" / "odd.png")
    assert "7 x 9" in penstock(*start, "pictures").error
    (own / "pictures" / "dog" / "odd.png").write_bytes(b"\x89PNG none")
    assert "odd.png cannot be read as an image" in penstock(*start, "pictures").error
    assert not (own / "n.pt").exists()


def test_a_function_gives_data(own: Path) -> None:
    data = load_dataset("usernets:data", None)
    assert data.class_names == ("a", "b", "c") and data.train_images.shape == (48, 3, 9, 7)


def test_cifar100(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (12, 3072), dtype=np.uint8)
    rows = np.concatenate([np.full((12, 1), 7, np.uint8), np.arange(12)[:, None], pixels], axis=1)
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    rows.astype(np.uint8).tofile(folder / "train.bin")
    rows[:5].astype(np.uint8).tofile(folder / "test.bin")
    (folder / "fine_label_names.txt").write_text("".join(f"class{i}\n" for i in range(100)))
    assert kind_of_data(tmp_path) == kind_of_data(folder) == "cifar100"
    data = load_cifar100(tmp_path, 12, 5)
    assert data.train_labels.tolist() == list(range(12)) and data.classes == 100
    assert data.class_names[3] == "class3"
    assert np.array_equal(data.test_images.numpy().reshape(5, -1), pixels[:5])
    (folder / "fine_label_names.txt").write_text("one\n")
    with pytest.raises(ModelError, match="1 names for 100 classes"):
        load_cifar100(tmp_path, 12, 5)


def test_svhn(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (32, 32, 3, 6), dtype=np.uint8)
    labels = np.array([[10], [1], [2], [10], [9], [3]], np.uint8)
    for part in ("train", "test"):
        scipy_io.savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": labels})
    data = load_dataset(kind_of_data(tmp_path), tmp_path)
    assert data.name == "svhn" and data.classes == 10
    assert data.train_labels.tolist() == [0, 1, 2, 0, 9, 3]
    assert np.array_equal(data.train_images[2].numpy(), images[..., 2].transpose(2, 0, 1))

"""Checks of arrays."""

from pathlib import Path

import numpy as np
import pytest

from penstock.cli.errors import InputError
from penstock.cli.files import read_labels
from penstock.images import check_images, read_array


def test_good_images_pass(rng: np.random.Generator) -> None:
    images = rng.standard_normal((5, 2, 3, 4)).astype(np.float32)
    assert np.array_equal(check_images(images, (2, 3, 4), "x.npy"), images)
    assert len(check_images(images, (2, 3, 4), "x.npy", limit=3)) == 3
    assert len(check_images(images, (2, 3, 4), "x.npy", limit=9)) == 5


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((1, 2, 3, 4)), "images are float64, expected float32, at x.npy; images.astype"),
        (np.zeros((1, 2, 3, 4), np.uint8), "images are uint8, expected float32, at x.npy"),
        (np.zeros((2, 3, 4), np.float32), r"shape \(2, 3, 4\), expected four dimensions"),
        (
            np.zeros((1, 3, 4, 2), np.float32),
            r"images are 3 x 4 x 2 \(C x H x W\), the network takes 2 x 3 x 4, at x.npy",
        ),
        (np.zeros((0, 2, 3, 4), np.float32), "there is no image, at x.npy"),
    ],
)
def test_bad_images(images: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_images(images, (2, 3, 4), "x.npy")


@pytest.mark.parametrize("value, word", [(np.nan, "NaN"), (np.inf, "infinity")])
def test_first_image_that_is_not_finite_is_named(value: float, word: str) -> None:
    images = np.zeros((4, 1, 2, 2), np.float32)
    images[2, 0, 1, 1] = value
    with pytest.raises(InputError, match=f"image 2 holds {word}, at x.npy"):
        check_images(images, (1, 2, 2), "x.npy")
    assert len(check_images(images, (1, 2, 2), "x.npy", limit=2)) == 2


def test_reading_arrays(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*: No such file"):
        read_array(tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(InputError, match=r"is not a NumPy \.npy array"):
        read_array(tmp_path / "text.npy")
    np.save(tmp_path / "x.npy", np.zeros(100))
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[:-8])
    with pytest.raises(InputError, match=r"is not a NumPy \.npy array"):
        read_array(tmp_path / "short.npy")
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="is an archive"):
        read_array(tmp_path / "x.npz")


def test_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array([3, 1, 2], np.uint8))
    assert read_labels(tmp_path / "y.npy", 2).tolist() == [3, 1]
    with pytest.raises(InputError, match="3 labels for 4 images"):
        read_labels(tmp_path / "y.npy", 4)
    np.save(tmp_path / "y.npy", np.zeros(3))
    with pytest.raises(InputError, match="labels are float64"):
        read_labels(tmp_path / "y.npy", 3)


def test_a_damaged_header_is_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Python warns of "1if" while NumPy reads what should be a literal."""
    np.save(tmp_path / "x.npy", np.zeros((1, 2), np.float32))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data.replace(b"(1, 2)", b"(1if2)"))
    with pytest.raises(InputError, match="is not a NumPy"):
        read_array(tmp_path / "x.npy")
    assert not recwarn.list

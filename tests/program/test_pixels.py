"""The convention by which uint8 photographs become input."""

import numpy as np
import pytest

from penstock.program.network.pixels import Pixels, as_photographs, pixels_of, pixels_of_properties

SEED = int(np.random.SeedSequence().entropy % 2**32)  # type: ignore[operator]
PHOTOS = Pixels(name="photos", full_scale=255.0, mean=(0.5, 0.25, 0.1), std=(0.2, 0.3, 0.05))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_codes_are_those_of_the_real_values(dtype: type) -> None:
    from penstock.compiler.numerics import quantize

    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    for _ in range(20):
        means, stds = rng.random(3), rng.random(3) + 0.01
        pixels = Pixels(
            name="", full_scale=float(rng.choice([16, 255])), mean=tuple(means), std=tuple(stds)
        )
        images = rng.integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
        scale = float(rng.random() / 20 + 1e-3)
        table = pixels.codes(scale, dtype)
        looked_up = np.stack([row[images[:, channel]] for channel, row in enumerate(table)], axis=1)
        expected = quantize(pixels.normalize(images), scale, dtype is np.int8)
        assert looked_up.dtype == dtype and np.array_equal(looked_up, expected)


def test_training_made_the_same_numbers() -> None:
    torch = pytest.importorskip("torch")
    from penstock.model.data.load import load_dataset

    data = load_dataset("digits", None)
    pixels = Pixels(name="digits", full_scale=data.full_scale, mean=data.mean, std=data.std)
    assert np.array_equal(
        pixels.normalize(data.test_images.numpy()), data.normalize(data.test_images).numpy()
    )
    assert isinstance(data.test_images, torch.Tensor)


def test_properties_of_a_file_give_it_back() -> None:
    assert PHOTOS.properties() == {
        "full_scale": "255",
        "mean": "0.5,0.25,0.1",
        "std": "0.2,0.3,0.05",
    }
    assert pixels_of_properties({**PHOTOS.properties(), "dataset": "photos"}, 3) == PHOTOS
    assert pixels_of({"shape": [3, 1, 1], "pixels": PHOTOS.plain()}) == PHOTOS
    assert (
        pixels_of_properties({"mean": "1"}, 1) is None and pixels_of({"shape": [1, 2, 3]}) is None
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mean": "0.5"}, "has 1 means and 3 deviations"),
        ({"mean": "a,b,c"}, "no numbers"),
        ({"std": "0.1,0,0.1"}, "not above 0"),
        ({"full_scale": "nan"}, "no finite numbers"),
        ({"mean": "0.5,0.5", "std": "1,1"}, "has 2 means for 3 channels"),
    ],
)
def test_what_is_no_convention(changed: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pixels_of_properties({**PHOTOS.properties(), **changed}, 3)


def test_layouts() -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
    last = np.moveaxis(images, 1, -1)
    for given in (images, last):
        found = as_photographs(given, (3, 5, 6))
        assert found is not None and np.array_equal(found, images)
    for given in (images[0], last[0]):
        found = as_photographs(given, (3, 5, 6))
        assert found is not None and np.array_equal(found, images[:1])
    found = as_photographs(images[:, 0], (1, 5, 6))
    assert found is not None and np.array_equal(found, images[:, :1])
    for wrong in (images.astype(np.float32), images[:, :2], images[..., :5], images.reshape(4, 90)):
        assert as_photographs(wrong, (3, 5, 6)) is None

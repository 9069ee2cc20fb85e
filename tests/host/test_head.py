"""The driver's part before and behind the core: as every engine's, on a board that is simulated."""

from typing import Any

import numpy as np
import pytest

from penstock.host.codec import apply_head
from penstock.host.errors import ImageError
from penstock.program.network.ends import HostPart, HostStep, HostTensor

HEAD = HostPart(
    source=HostTensor(name="image", shape=(4, 5, 3), type="uint8"),
    result=HostTensor(name="moved", shape=(3, 4, 5), type="float32"),
    constants={"white": np.float32(255.0)},
    steps=(
        HostStep(op="Cast", inputs=("image",), outputs=("real",), attributes={"to": "float32"}),
        HostStep(op="Div", inputs=("real", "white"), outputs=("unit",), attributes={}),
        HostStep(
            op="Transpose", inputs=("unit",), outputs=("moved",), attributes={"perm": [0, 3, 1, 2]}
        ),
    ),
)


def test_images_as_the_file_takes_them(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    expected = (images.astype(np.float32) / np.float32(255)).transpose(0, 3, 1, 2)
    assert (apply_head(HEAD, images) == expected).all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 4, 5, 3), np.float32), "images are float32, expected uint8"),
        (np.zeros((2, 3, 4, 5), np.uint8), "images are 2 x 3 x 4 x 5, expected N x 4 x 5 x 3"),
        (np.zeros((4, 5, 3), np.uint8), "images are 4 x 5 x 3, expected N x 4 x 5 x 3"),
        ([[1], [1, 2]], "images are list, which NumPy does not take"),
    ],
)
def test_mistakes(images: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        apply_head(HEAD, images)

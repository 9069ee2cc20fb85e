"""Images the driver refuses, before or while the core runs; the next call works."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from penstock.host import ImageError
from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore

Opener = Callable[..., Any]

WRONG_IMAGES = {
    "dtype": (np.zeros((2, 1, 8, 8)), "images are float64, expected float32"),
    "shape": (np.zeros((2, 8, 8, 1), np.float32), "2 x 8 x 8 x 1, expected N x 1 x 8 x 8"),
    "one": (np.zeros((1, 8, 8), np.float32), r"one image: images\[None\]"),
    "none": (np.zeros((0, 1, 8, 8), np.float32), "there is no image"),
}


@pytest.mark.parametrize("wrong", WRONG_IMAGES)
def test_wrong_images(open_overlay: Opener, package: Package, vectors: Any, wrong: str) -> None:
    core = ScriptedCore()
    net = open_overlay(core).load(package)
    array, message = WRONG_IMAGES[wrong]
    with pytest.raises(ImageError, match=message):
        net(array)
    assert core.runs == 0
    net(vectors.images)


def test_nan_in_a_later_batch(open_overlay: Opener, package: Package, vectors: Any) -> None:
    net = open_overlay(ScriptedCore()).load(package, batch=4)
    images = vectors.images[:10].copy()
    images[9, 0, 3, 3] = np.nan
    with pytest.raises(ImageError, match=r"image 9 holds a NaN"):
        net(images)
    net(vectors.images[:10])

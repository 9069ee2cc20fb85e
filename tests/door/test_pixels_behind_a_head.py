"""uint8 photographs of networks whose images the host moves or pads first."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import penstock
from penstock.host.codec import InputCodec, apply_head
from penstock.program.network.ends import head_of
from penstock.program.network.pixels import pixels_of
from tests.compiler.front.floats import Floats, save

PHOTOS = penstock.Pixels(name="photos", full_scale=255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


def compiled(kind: str, folder: Path) -> penstock.Network:
    """A network of 3 x 9 x 8 photographs: channels last, or patches of them in phases."""
    shape = (1, 9, 8, 3) if kind == "last" else (1, 3, 9, 8)
    net = Floats(3, shape)
    x = net.node("Transpose", "image", perm=[0, 3, 1, 2]) if kind == "last" else "image"
    if kind == "last":
        y = net.conv(x, 4, 3)
    else:
        y = net.node("Conv", x, net.normal(4, 3, 3, 3), net.normal(4), strides=[3, 3])
    model = net.model(net.head(net.relu(y)))
    images = np.random.default_rng(1).normal(0, 1, (8, *shape[1:])).astype(np.float32)
    return penstock.compile(save(model, folder), calibration=images, target="tiny", pixels=PHOTOS)


@pytest.mark.parametrize("kind", ["last", "phases"])
def test_photographs_are_real_values(kind: str, tmp_path: Path) -> None:
    net = compiled(kind, tmp_path)
    photographs: Any = np.random.default_rng(8).integers(0, 256, (5, 3, 9, 8), dtype=np.uint8)
    assert net.pixels == PHOTOS and head_of(net.compiled.package.meta) is not None
    real = PHOTOS.normalize(photographs)
    expected = net(np.moveaxis(real, 1, -1) if kind == "last" else real)
    assert np.array_equal(net(photographs), expected)
    assert np.array_equal(net(np.moveaxis(photographs, 1, -1)), expected)
    assert np.array_equal(net(np.moveaxis(photographs[3], 0, -1)), expected[3:4])
    net.save(tmp_path / "net")
    assert penstock.load(tmp_path / "net").pixels == PHOTOS


@pytest.mark.parametrize("kind", ["last", "phases"])
def test_the_driver_has_the_same_codes(kind: str, tmp_path: Path) -> None:
    net = compiled(kind, tmp_path)
    meta = net.compiled.package.meta
    head = head_of(meta)
    assert head is not None
    photographs: Any = np.random.default_rng(8).integers(0, 256, (4, 9, 8, 3), dtype=np.uint8)
    codec = InputCodec(meta["input"], 4, head)
    flat = codec.check(apply_head(head, photographs, pixels_of(meta["input"], head.source.shape)))
    codes = np.zeros((4, codec.size), codec.dtype)
    codec.encode(flat, codes)
    real = PHOTOS.normalize(np.moveaxis(photographs, -1, 1))
    images = np.moveaxis(real, 1, -1) if kind == "last" else real
    expected = net.compiled.quantize_input(np.ascontiguousarray(images))[:, : codec.size]
    assert (codes.view(np.uint8) == expected).all()


def test_another_size_is_refused(tmp_path: Path) -> None:
    net = compiled("last", tmp_path)
    with pytest.raises(penstock.PenstockError, match="photographs are 4 x 3 x 9 x 9"):
        net(np.zeros((4, 3, 9, 9), np.uint8))

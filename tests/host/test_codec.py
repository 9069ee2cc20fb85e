"""Images to bytes exactly as the compiler quantises, records back to numbers; no pynq needed."""

import importlib.util

import numpy as np
import pytest

from penstock.host import ImageError, InputCodec


def codec(signed: bool = True, scale: float = 0.03, batch: int = 4) -> InputCodec:
    return InputCodec({"shape": [2, 3, 5], "signed": signed, "scale": scale}, batch)


@pytest.mark.skipif(
    importlib.util.find_spec("penstock.compiler") is None, reason="the board side has no compiler"
)
@pytest.mark.parametrize("signed", [True, False])
def test_rounds_as_the_compiler_does(signed: bool, rng: np.random.Generator) -> None:
    from penstock.compiler.numerics import quantize

    for scale in (0.03, 0.0145421195, 1 / 64, 0.5, 3.0):
        images = rng.normal(0, 60 * scale, (4, 2, 3, 5)).astype(np.float32)
        images[0, 0] = scale * (np.arange(15, dtype=np.float32).reshape(3, 5) + 0.5)  # ties
        images[1] = 1e30
        images[2] = -1e30
        maker = codec(signed, scale)
        codes = np.zeros((4, 30), maker.dtype)
        maker.encode(maker.check(images), codes)
        assert (codes == quantize(images, scale, signed).reshape(4, 30)).all()


def test_codes_pass_through(rng: np.random.Generator) -> None:
    maker = codec()
    images = rng.integers(-128, 128, (3, 2, 3, 5)).astype(np.int8)
    codes = np.zeros((4, 30), np.int8)
    maker.encode(maker.check(images), codes)
    assert (codes[:3] == images.reshape(3, -1)).all()
    assert not codes[3].any()


def test_any_memory_order(rng: np.random.Generator) -> None:
    images = rng.normal(size=(2, 3, 5, 2)).astype(np.float32).transpose(0, 3, 1, 2)
    maker = codec()
    assert (maker.check(images) == images.reshape(2, -1)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad: float) -> None:
    images = np.zeros((3, 2, 3, 5), np.float32)
    images[1, 1, 2, 4] = bad
    maker = codec()
    with pytest.raises(ImageError, match="image 17 holds a NaN or an infinity"):
        maker.encode(maker.check(images), np.zeros((4, 30), np.int8), first=16)

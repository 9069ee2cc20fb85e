"""Networks that double their maps, by hand: encoders with decoders, heads of pixels, necks."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.compiler.front.floats import Floats

SHAPE = (3, 16, 16)


def down(b: Floats, x: str, outputs: int, inputs: int) -> str:
    return b.relu(b.conv(x, outputs, inputs, strides=[2, 2]))


def nearest(b: Floats, x: str, scale: float = 2.0) -> str:
    places = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return b.node("Resize", x, b.const([]), b.const([1, 1, scale, scale]), **places)


def transposed(b: Floats, x: str, outputs: int, inputs: int, kernel: int, **attrs: Any) -> str:
    group = attrs.get("group", 1)
    weight = b.normal(inputs, outputs // group, kernel, kernel, spread=inputs**-0.5)
    return b.node("ConvTranspose", x, weight, b.normal(outputs), strides=[2, 2], **attrs)


def unet(b: Floats, up: Callable[[str, int, int], str]) -> str:
    """Two levels, each joined with what was there before it was halved; a mask of four classes."""
    one = b.relu(b.conv("image", 6, 3))
    two = down(b, one, 10, 6)
    x = down(b, two, 12, 10)
    x = b.node("Concat", up(x, 10, 12), two, axis=1)
    x = b.relu(b.conv(x, 10, 20))
    x = b.node("Concat", up(x, 6, 10), one, axis=1)
    return b.conv(b.relu(b.conv(x, 8, 12)), 4, 8, kernel=1)


def unet_nearest(b: Floats) -> str:
    return unet(b, lambda x, outputs, inputs: b.relu(b.conv(nearest(b, x), outputs, inputs)))


def unet_transposed(b: Floats) -> str:
    return unet(b, lambda x, outputs, inputs: b.relu(transposed(b, x, outputs, inputs, 2)))


def unet_four(b: Floats) -> str:
    return unet(b, lambda x, o, i: b.relu(transposed(b, x, o, i, 4, pads=[1, 1, 1, 1])))


def unet_keras(b: Floats) -> str:
    """Conv2DTranspose(3, padding="same")."""
    return unet(b, lambda x, o, i: b.relu(transposed(b, x, o, i, 3, auto_pad="SAME_UPPER")))


def unet_without_activations(b: Floats) -> str:
    """torch's usual one: the transposed convolution joined as it is."""
    return unet(b, lambda x, outputs, inputs: transposed(b, x, outputs, inputs, 2))


def pixel_shuffle(b: Floats) -> str:
    """A head that makes a larger image of 12 channels."""
    x = b.relu(b.conv("image", 8, 3))
    x = b.relu(b.conv(x, 8, 8))
    return b.node("DepthToSpace", b.conv(x, 12, 8), blocksize=2, mode="CRD")


def depth_to_space(b: Floats) -> str:
    x = b.relu(b.conv("image", 8, 3, strides=[2, 2]))
    x = b.node("DepthToSpace", b.conv(x, 16, 8), blocksize=2)
    return b.conv(b.relu(x), 3, 4)


def neck(b: Floats) -> str:
    """A detector's: the coarse map doubled beside the finer one, and predictions of both."""
    x = b.relu(b.conv("image", 8, 3))
    x = b.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    fine = b.relu(b.conv(x, 12, 8))
    x = b.node("MaxPool", fine, kernel_shape=[2, 2], strides=[2, 2])
    coarse = b.relu(b.conv(x, 16, 12))
    y = nearest(b, b.relu(b.conv(coarse, 6, 16, kernel=1)))
    y = b.relu(b.conv(b.node("Concat", y, fine, axis=1), 12, 18))
    first = b.conv(coarse, 9, 16, kernel=1)
    return f"{first} {b.conv(y, 9, 12, kernel=1)}"


def pyramid(b: Floats) -> str:
    """A feature pyramid: doubled maps are added."""
    one = down(b, "image", 8, 3)
    two = down(b, one, 12, 8)
    x = b.conv(two, 8, 12, kernel=1)
    x = b.node("Add", nearest(b, x), b.conv(one, 8, 8, kernel=1))
    return b.conv(b.relu(b.conv(x, 8, 8)), 4, 8, kernel=1)


def four_times(b: Floats) -> str:
    """A mask at a quarter of the image's sides, four times larger at the end."""
    x = down(b, down(b, "image", 8, 3), 8, 8)
    return nearest(b, b.relu(b.conv(x, 5, 8)), 4.0)


def depthwise(b: Floats) -> str:
    """A transposed convolution of each channel by itself, between 1x1 ones."""
    x = b.relu(b.conv(down(b, "image", 8, 3), 8, 8, kernel=1))
    x = b.relu(transposed(b, x, 8, 8, 4, pads=[1, 1, 1, 1], group=8))
    return b.conv(x, 4, 8, kernel=1)


def odd_sides(b: Floats) -> str:
    """Maps of odd sides: 16 -> 8 -> 15, halved again to 8."""
    x = down(b, "image", 8, 3)
    x = b.relu(transposed(b, x, 6, 8, 3, pads=[1, 1, 1, 1]))
    return b.conv(down(b, x, 8, 6), 4, 8)


def classifier(b: Floats) -> str:
    """Doubled, averaged, and read with a stride."""
    x = nearest(b, down(b, "image", 8, 3))
    return b.head(b.relu(b.conv(x, 10, 8, strides=[2, 2])), 10)


def gated(b: Floats) -> str:
    """A block whose channels and whose whole a gate may leave out, on a doubled map; the gates read
    the map before it was doubled."""
    before = down(b, "image", 8, 3)
    x = nearest(b, before)
    pooled = b.pooled(before)
    channels = b.node("Clip", b.gemm(pooled, 8, 8), b.const(0.0), b.const(1.0))
    channels = b.node("Reshape", channels, b.const([1, 8, 1, 1], np.int64))
    whole = b.node("Greater", b.gemm(pooled, 1, 8, bias=0.0), b.const(0.0))
    whole = b.node("Reshape", b.node("Cast", whole, to=1), b.const([1] * 4, np.int64))
    y = b.node("Mul", b.relu(b.conv(x, 8, 8)), channels)
    x = b.relu(b.node("Add", b.node("Mul", b.conv(y, 8, 8), whole), x))
    return b.conv(x, 4, 8)


def gated_transposed(b: Floats) -> str:
    """A gate of the channels that a transposed convolution makes."""
    before = down(b, "image", 8, 3)
    channels = b.node("Clip", b.gemm(b.pooled(before), 6, 8), b.const(0.0), b.const(1.0))
    channels = b.node("Reshape", channels, b.const([1, 6, 1, 1], np.int64))
    x = b.node("Mul", b.relu(transposed(b, before, 6, 8, 2)), channels)
    return b.conv(b.relu(b.conv(x, 8, 6)), 4, 8)


NETWORKS: dict[str, Callable[[Floats], str]] = {
    made.__name__: made
    for made in (
        *(unet_nearest, unet_transposed, unet_four, unet_keras, unet_without_activations),
        *(pixel_shuffle, depth_to_space, neck, pyramid, four_times, depthwise, odd_sides),
        *(classifier, gated, gated_transposed),
    )
}

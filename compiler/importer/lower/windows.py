"""Windows of pools, and the padding of convolutions too."""

import math
from collections.abc import Sequence

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import OpNode

CONV_KERNELS = (1, 3, 5, 7)
POOL_KERNEL = 7  # at most


def pool_window(builder: Builder, node: OpNode, shape: Sequence[int]) -> tuple[int, int, int]:
    """(kernel, stride, padding) of a pool of a map (C, H, W), after checking everything the core
    fixes."""
    kernels = list(node.attrs["kernel_shape"])
    kernel = int(kernels[0])
    if kernels != [kernel, kernel] or kernel > POOL_KERNEL:
        text = "x".join(map(str, kernels))
        raise node.error(
            f"has a {text} kernel", f"kernels are square, {POOL_KERNEL}x{POOL_KERNEL} at most"
        )
    stride = _stride(node, "dilated pools are not supported")
    if node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise node.error(f"has auto_pad {node.attrs['auto_pad']}", "give explicit pads")
    pads, most = padding(builder, node, (kernel, kernel)), math.ceil(kernel / 2) - 1
    if pads != [pads[0]] * 4 or not 0 <= pads[0] <= most:
        raise node.error(
            f"has pads {pads} for a {kernel}x{kernel} kernel", f"pad every side by at most {most}"
        )
    # ceil_mode matters where it changes the size: a window that is not whole.
    size = [(side + 2 * pads[0] - kernel) // stride + 1 for side in shape[1:]]
    if min(size) < 1 or size != list(builder.map_shape(node.output)[1:]):
        raise node.error(
            f"makes {builder.map_shape(node.output)[1:]} of {tuple(shape[1:])}",
            "pad equally on every side, without ceil_mode",
        )
    return kernel, stride, pads[0]


def padding(builder: Builder, node: OpNode, kernel: Sequence[int]) -> list[int]:
    """Rows above, columns left, rows below, columns right, `auto_pad` included."""
    mode = node.attrs.get("auto_pad", "NOTSET")
    if mode in ("NOTSET", "VALID"):
        pads = node.attrs.get("pads", [0] * 4) if mode == "NOTSET" else [0] * 4
        return [int(pad) for pad in pads]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.error(f"has auto_pad {mode!a}", "NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    strides = node.attrs.get("strides", [1, 1])
    first, second = [], []
    for side, size, step in zip(
        builder.net.shapes[node.inputs[0]][2:], kernel, strides, strict=True
    ):
        total = max(0, (-(-side // step) - 1) * step + size - side)
        less, more = total // 2, total - total // 2
        first.append(less if mode == "SAME_UPPER" else more)
        second.append(more if mode == "SAME_UPPER" else less)
    return [*first, *second]


def _stride(node: OpNode, hint: str) -> int:
    if any(step != 1 for step in node.attrs.get("dilations", [1, 1])):
        raise node.error("is dilated", hint)
    strides = list(node.attrs.get("strides", [1, 1]))
    if strides not in ([1, 1], [2, 2]):
        raise node.error(f"has strides {strides}", "strides are 1 or 2, equal both ways")
    return int(strides[0])

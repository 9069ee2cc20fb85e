"""Kernels of other shapes inside the square odd ones that the core has, with zeros around them.

A tap in row j of a kernel with dilation d and t rows of padding above reads row
i * stride - t + j * d of the map for row i of the result.  The core's kernel of K rows reads
i * stride - K // 2 .. i * stride + K // 2, whatever lies off the map counts as zero; so the tap is
its row K // 2 - t + j * d.  That is exact wherever the result has the size the core makes of it,
and costs the multiplications of the zeros.
"""

from collections.abc import Sequence

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.windows import CONV_KERNELS, padding
from penstock.compiler.importer.net import Array, OpNode


def core_kernel(builder: Builder, node: OpNode, weight: Array) -> tuple[Array, int]:
    """(weight (O, I, K, K), stride) of a convolution as the core has it.

    Raises:
        CompileError: strides other than 1 and 2, a result of another size, or a reach of more than
            half of the largest kernel.
    """
    kernel = weight.shape[2:]
    if list(node.attrs.get("kernel_shape", kernel)) != list(kernel):
        raise node.error(
            f"has kernel_shape {node.attrs['kernel_shape']}, its weight is {_text(kernel)}"
        )
    stride = _stride(node)
    dilations = [int(step) for step in node.attrs.get("dilations", [1, 1])]
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    pads = padding(builder, node, spans)
    _check_size(builder, node, stride, spans, pads)
    reach = max(max(pad, span - 1 - pad) for pad, span in zip(pads[:2], spans, strict=True))
    size = next((k for k in CONV_KERNELS if k // 2 >= reach), 0)
    if not size:
        raise node.error(
            f"has a {_text(kernel)} kernel, which reaches {reach} pixels from its middle",
            f"kernels reach {CONV_KERNELS[-1] // 2} pixels: 7x7, or less with dilation",
        )
    if (size, size) == kernel:  # neither dilated nor moved
        return weight, stride
    wide = np.zeros((*weight.shape[:2], size, size), weight.dtype)
    rows, columns = (
        slice(size // 2 - pad, size // 2 - pad + span, step)
        for pad, span, step in zip(pads[:2], spans, dilations, strict=True)
    )
    wide[:, :, rows, columns] = weight
    return wide, stride


def whole_map(builder: Builder, node: OpNode, weight: Array) -> bool:
    """Whether a convolution is one product of every pixel of its map: a dense layer of it."""
    sides = tuple(builder.net.shapes[node.inputs[0]][2:])
    plain = node.attrs.get("group", 1) == 1 and sides != (1, 1)
    whole = weight.shape[2:] == sides and tuple(builder.net.shapes[node.output][2:]) == (1, 1)
    return plain and whole and not any(padding(builder, node, sides))


def _check_size(
    builder: Builder, node: OpNode, stride: int, spans: Sequence[int], pads: Sequence[int]
) -> None:
    height, width = builder.net.shapes[node.inputs[0]][2:]
    made = tuple(builder.net.shapes[node.output][2:])
    wanted = (-(-height // stride), -(-width // stride))
    if made == wanted:
        return
    total = [
        max(0, (side - 1) // stride * stride + span - side)
        for side, span in zip((height, width), spans, strict=True)
    ]
    raise node.error(
        f"has pads {list(pads)} for a {_text(spans)} kernel: it makes {_text(made)} of "
        f"{_text((height, width))}, the core {_text(wanted)}",
        f"pad by {total[0]} rows and {total[1]} columns in all, above and below, left and right",
    )


def _stride(node: OpNode) -> int:
    strides = list(node.attrs.get("strides", [1, 1]))
    if strides not in ([1, 1], [2, 2]):
        raise node.error(f"has strides {strides}", "strides are 1 or 2, equal both ways")
    return int(strides[0])


def _text(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))

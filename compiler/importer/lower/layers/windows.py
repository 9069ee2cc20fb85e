"""Windows of pools, and the padding of convolutions too."""

from collections.abc import Sequence

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.importer.terms import Part, PoolWindows
from penstock.program.base.arith import ceil_div

CONV_KERNELS = (1, 3, 5, 7)
POOL_KERNEL = 7  # at most


def pool_windows(builder: Builder, node: OpNode, sides: Sequence[int]) -> PoolWindows:
    """The windows of a pool of a map of `sides`.

    Raises:
        CompileError: windows that are not square, dilated or larger than the core's, and windows
            without a pixel of the map.
    """
    kernels = list(node.attrs["kernel_shape"])
    kernel = int(kernels[0])
    if kernels != [kernel, kernel] or kernel > POOL_KERNEL:
        text = "x".join(map(str, kernels))
        raise node.error(
            f"has a {text} kernel", f"kernels are square, {POOL_KERNEL}x{POOL_KERNEL} at most"
        )
    if any(step != 1 for step in node.attrs.get("dilations", [1, 1])):
        raise node.error("is dilated", "dilated pools are not supported")
    strides = [int(step) for step in node.attrs.get("strides", [1, 1])]
    pads, made = padding(builder.net, node, (kernel, kernel)), builder.map_shape(node.output)[1:]
    last = [(out - 1) * step - pad for out, step, pad in zip(made, strides, pads[:2], strict=True)]
    if any(first >= side for first, side in zip(last, sides, strict=True)) or max(pads) >= kernel:
        raise node.error(f"has windows without a pixel of its {sides[0]}x{sides[1]} map")
    return core_windows(kernel, strides, pads, made, sides)


def core_windows(
    kernel: int,
    strides: Sequence[int],
    pads: Sequence[int],
    made: Sequence[int],
    sides: Sequence[int],
) -> PoolWindows:
    """Windows of `kernel`, as the core has them, that make a map of `made` of one of `sides`."""
    stride = 2 if all(step % 2 == 0 for step in strides) else 1
    steps = (strides[0] // stride, strides[1] // stride)
    last = [(out - 1) * step - pad for out, step, pad in zip(made, strides, pads[:2], strict=True)]
    ends = [first + kernel for first in last]
    outside = max(pads[:2]) > 0 or any(end > side for end, side in zip(ends, sides, strict=True))
    beyond = any(end > side + pad for end, side, pad in zip(ends, sides, pads[2:], strict=True))
    pad = pads[0] if pads[0] == pads[1] and 2 * pads[0] < kernel else 0
    core = [(side + 2 * pad - kernel) // stride + 1 for side in sides]
    wanted = [(out - 1) * step + 1 for out, step in zip(made, steps, strict=True)]
    border = None
    if pad != pads[0] or pad != pads[1] or any(c < w for c, w in zip(core, wanted, strict=True)):
        pad = 0
        full = [before + end for before, end in zip(pads[:2], ends, strict=True)]
        border = Part(top=-pads[0], left=-pads[1], height=full[0], width=full[1], steps=(1, 1))
        core = [(side - kernel) // stride + 1 for side in full]
    part = None
    if core != list(made):
        part = Part(top=0, left=0, height=made[0], width=made[1], steps=steps)
    return PoolWindows(
        kernel=kernel,
        stride=stride,
        pad=pad,
        border=border,
        part=part,
        outside=outside,
        beyond=beyond,
    )


def padding(net: Net, node: OpNode, kernel: Sequence[int]) -> list[int]:
    """Rows above, columns left, rows below, columns right, `auto_pad` included."""
    mode = node.attrs.get("auto_pad", "NOTSET")
    if mode in ("NOTSET", "VALID"):
        pads = node.attrs.get("pads", [0] * 4) if mode == "NOTSET" else [0] * 4
        return [int(pad) for pad in pads]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.error(f"has auto_pad {mode!a}", "NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    strides = node.attrs.get("strides", [1, 1])
    first, second = [], []
    for side, size, step in zip(net.shapes[node.inputs[0]][2:], kernel, strides, strict=True):
        total = (ceil_div(side, step) - 1) * step + size - side
        if total <= -2:  # ONNX's reference begins at the first pixel, onnxruntime half of it on
            raise node.error(
                f"has auto_pad {mode} and a stride of {step} over a kernel of {size} that leaves"
                f" {-total} of {side} pixels over: runtimes disagree where it begins",
                "give its pads as numbers",
            )
        total = max(0, total)
        less, more = total // 2, total - total // 2
        first.append(less if mode == "SAME_UPPER" else more)
        second.append(more if mode == "SAME_UPPER" else less)
    return [*first, *second]

"""Pass: a first convolution with large strides or kernels reads the image in phases.

Rows and columns of the image that lie a stride apart become channels of their own: the host moves
them there (space to depth), and what reads them is a convolution with stride 1 and a kernel smaller
by the stride.  So 10x4 with stride 2 is 5x3, patches of 4x4 are 1x1, and neither costs a
multiplication more than its rounding up to whole strides.
"""

import dataclasses
import math

import numpy as np

from penstock.compiler.importer.lower.layers.windows import CONV_KERNELS
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.program.base.arith import ceil_div

#: What may lie between the image and the convolution: the host, or the image's quantiser, does it.
BEFORE = frozenset(["Cast", "Concat", "DequantizeLinear", "QuantizeLinear", "Reshape", "Transpose"])
BEFORE_IN_FLOAT = frozenset(["Add", "Div", "Mul", "Sub"])
REACH = CONV_KERNELS[-1] // 2
#: Of an image in phases: more than any core has.
MOST_CHANNELS = 1 << 14


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """One axis: of `out` results, the image begins `before` places into the first phase, and taps
    reach from `low` to `high` places of a phase."""

    side: int
    kernel: int
    stride: int
    pad: int
    out: int
    before: int

    @property
    def low(self) -> int:
        return (self.before - self.pad) // self.stride

    @property
    def high(self) -> int:
        return (self.kernel - 1 - self.pad + self.before) // self.stride

    @property
    def reach(self) -> int:
        return max(-self.low, self.high)

    @property
    def places(self) -> int:
        """Of a phase: one a result, and more where pixels that are read lie behind those."""
        needed = min(self.side, self.stride * (self.out - 1) - self.pad + self.kernel)
        return max(self.out, ceil_div(self.before + needed, self.stride))


def image_phases(net: Net) -> Net:
    """Legal where one convolution alone reads the image; preserves its result."""
    found = _first_conv(net)
    if found is None:
        return net
    index, node = found
    axes = _axes(net, node)
    weight = _weight(net, node)
    if axes is None or weight is None:
        return net
    return _rewritten(net, index, node, axes, *weight)


def _first_conv(net: Net) -> tuple[int, OpNode] | None:
    """The one convolution of the image, and its index."""
    name = net.input
    while True:
        readers = [(i, node) for i, node in enumerate(net.nodes) if name in node.inputs]
        if len(readers) != 1 or name in net.results:
            return None
        index, node = readers[0]
        if node.op == "Conv" and node.inputs[0] == name:
            return index, node
        constant = all(net.is_constant(other) for other in node.inputs if other and other != name)
        if node.op not in BEFORE | BEFORE_IN_FLOAT or not constant:
            return None
        name = node.output


def _no_zero_point(net: Net, node: OpNode) -> bool:
    name = node.optional_input(2)
    return not name or (net.is_constant(name) and not net.constants[name].any())


def _axes(net: Net, node: OpNode) -> tuple[_Axis, _Axis] | None:
    """Both axes in phases; None where the convolution is one of the core's, or has no such form."""
    shape, made = net.shapes.get(node.inputs[0], ()), net.shapes.get(node.output, ())
    kernel = net.shapes.get(node.inputs[1], ())[2:]
    plain = node.attrs.get("group", 1) == 1 and not any(
        step != 1 for step in node.attrs.get("dilations", [1, 1])
    )
    explicit = node.attrs.get("auto_pad", "NOTSET") == "NOTSET"
    if len(shape) != 4 or len(made) != 4 or len(kernel) != 2 or not plain or not explicit:
        return None
    strides, pads = node.attrs.get("strides", [1, 1]), node.attrs.get("pads", [0] * 4)
    if kernel == shape[2:] and made[2:] == (1, 1):
        return None  # a dense layer of the whole image
    if shape[1] * math.prod(strides) > MOST_CHANNELS or _is_the_cores(strides, kernel):
        return None
    whole = [
        [
            _Axis(side=side, kernel=size, stride=step, pad=pad, out=out, before=before)
            for before in range(step)
        ]
        for side, size, step, pad, out in zip(
            shape[2:], kernel, strides, pads[:2], made[2:], strict=True
        )
    ]
    best = [
        min(choices, key=lambda axis: (axis.reach > REACH, axis.places, axis.reach))
        for choices in whole
    ]
    rows, columns = best
    return None if max(rows.reach, columns.reach) > REACH else (rows, columns)


def _is_the_cores(strides: list[int], kernel: tuple[int, ...]) -> bool:
    """Whether the core has the convolution as it is (`lower/kernels.py`)."""
    return list(strides) in ([1, 1], [2, 2]) and max(kernel) <= CONV_KERNELS[-1]


def _weight(net: Net, node: OpNode) -> tuple[Array, OpNode | None] | None:
    """The weight's constant and what dequantises it; None for another form."""
    name = node.inputs[1]
    if net.is_constant(name):
        return net.constants[name], None
    maker = next((other for other in net.nodes if name in other.outputs), None)
    if maker is None or maker.op != "DequantizeLinear" or not _no_zero_point(net, maker):
        return None
    scale = net.constants.get(maker.inputs[1])
    if not net.is_constant(maker.inputs[0]) or scale is None:
        return None
    if scale.size > 1 and maker.attrs.get("axis", 1) not in (0, -4):
        return None
    return net.constants[maker.inputs[0]], maker


def _rewritten(
    net: Net,
    index: int,
    node: OpNode,
    axes: tuple[_Axis, _Axis],
    weight: Array,
    quantizer: OpNode | None,
) -> Net:
    rows, columns = axes
    fresh, constants, shapes, types = (
        net.fresh_names(), dict(net.constants), dict(net.shapes), dict(net.types),
    )  # fmt: skip
    nodes: list[OpNode] = []

    def constant(wanted: str, array: Array) -> str:
        name = fresh(wanted)
        constants[name], shapes[name], types[name] = array, array.shape, array.dtype.name
        return name

    def add(op: str, inputs: tuple[str, ...], shape: tuple[int, ...], **attrs: object) -> str:
        name = fresh(f"{node.output}.{op.lower()}")
        shapes[name], types[name] = shape, "float32"
        nodes.append(OpNode(name=name, op=op, inputs=inputs, outputs=(name,), attrs=attrs))
        return name

    channels = net.shapes[node.inputs[0]][1]
    spans = [axis.stride * axis.places for axis in axes]
    after = [span - axis.before - axis.side for span, axis in zip(spans, axes, strict=True)]
    x = node.inputs[0]
    if min(after) < 0:  # rows and columns that nothing reads
        ends = [axis.side + min(0, more) for axis, more in zip(axes, after, strict=True)]
        bounds = [np.array(each, np.int64) for each in ([0, 0], ends, [2, 3])]
        names = [constant(f"{node.output}.bounds", each) for each in bounds]
        x = add("Slice", (x, *names), (1, channels, *ends))
    pads = [0, 0, rows.before, columns.before, 0, 0, *(max(0, more) for more in after)]
    if any(pads):
        name = constant(f"{node.output}.pads", np.array(pads, np.int64))
        x = add("Pad", (x, name), (1, channels, *spans))
    split = (1, channels, rows.places, rows.stride, columns.places, columns.stride)
    name = constant(f"{node.output}.phases", np.array(split, np.int64))
    x = add("Reshape", (x, name), split)
    perm = (0, 1, 3, 5, 2, 4)
    x = add("Transpose", (x,), tuple(split[axis] for axis in perm), perm=list(perm))
    full = (1, channels * rows.stride * columns.stride, rows.places, columns.places)
    x = add("Reshape", (x, constant(f"{node.output}.full", np.array(full, np.int64))), full)
    w = constant(f"{node.output}.kernel", _phases(weight, rows, columns))
    if quantizer is not None:
        w = add("DequantizeLinear", (w, *quantizer.inputs[1:]), constants[w].shape, axis=0)
    attrs = {
        "kernel_shape": list(constants[nodes[-1].inputs[0] if quantizer else w].shape[2:]),
        "pads": [
            *(-axis.low for axis in axes),
            *(axis.high + axis.out - axis.places for axis in axes),
        ],
    }
    conv = dataclasses.replace(node, inputs=(x, w, *node.inputs[2:]), attrs=attrs)
    everything = (*net.nodes[:index], *nodes, conv, *net.nodes[index + 1 :])
    return net.replace(nodes=everything, constants=constants, shapes=shapes, types=types)


def _phases(weight: Array, rows: _Axis, columns: _Axis) -> Array:
    """The kernel (O, C, kh, kw) for the phases: (O, C * sh * sw, KH, KW), zeros where no tap is."""
    outputs, channels = weight.shape[:2]
    sizes = [axis.high - axis.low + 1 for axis in (rows, columns)]
    shape = (outputs, channels, rows.stride, columns.stride, *sizes)
    wide = np.zeros(shape, weight.dtype)
    for i in range(rows.kernel):
        place = i - rows.pad + rows.before
        row, top = place % rows.stride, place // rows.stride - rows.low
        for j in range(columns.kernel):
            place = j - columns.pad + columns.before
            column, left = place % columns.stride, place // columns.stride - columns.low
            wide[:, :, row, column, top, left] = weight[:, :, i, j]
    return wide.reshape(outputs, math.prod(shape[1:4]), *sizes)

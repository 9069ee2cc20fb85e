"""Pass: a network is computed upside down or from right to left where that takes fewer cycles.

Keras pads a stride of 2 below and on the right alone, the core's windows begin above and on the
left: there each such layer needs a map with a border.  Of the mirrored image the same layers are
the core's own.  The host mirrors the image; what leaves the network is not a map, so that nothing
is to be mirrored back.  What is not known to have a mirror image leaves the network as it is.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.axes import axes_of, axis_of
from penstock.compiler.importer.lower.layers.kernels import MOVED, Axis, cheapest, conv_axes
from penstock.compiler.importer.lower.layers.windows import core_windows
from penstock.compiler.importer.net import Array, EndNodes, Net, OpNode
from penstock.program.base.arith import ceil_div

#: Each number of the result is one of the same place.
POINTWISE = frozenset(
    ["Add", "BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Max", "Min", "Mul"]
    + ["QuantizeLinear", "Relu", "Sub"]
)
POOLS = frozenset(["AveragePool", "MaxPool"])
#: Cycles that it must save: a step of the host's, and what the host needs for a first one.
STEP_CYCLES, HOST_CYCLES = 400, 4000

#: Whether rows and columns are mirrored.
Way = tuple[bool, bool]
WAYS: tuple[Way, ...] = ((False, False), (True, False), (False, True), (True, True))


def mirror(net: Net) -> Net:
    """Legal where every operator of a map has a mirror image; preserves all that is no map."""
    layers = _layers(net)
    if not layers:
        return net
    costs = [_cost(net, layers, way) for way in WAYS]
    cost, way = min(zip(costs, WAYS, strict=True), key=lambda pair: pair[0])
    if not cost + STEP_CYCLES + (0 if net.head else HOST_CYCLES) < costs[0]:
        return net
    return _Mirrored(net, layers, way).net()


def _is_map(net: Net, name: str) -> bool:
    shape = net.shapes.get(name, ())
    return len(shape) == 4 and math.prod(shape[2:]) > 1


def _layers(net: Net) -> dict[OpNode, Array | None]:
    """Convolutions with their weights, pools with None; none if a node has no mirror image."""
    found: dict[OpNode, Array | None] = {}
    if any(_is_map(net, name) for name in net.results) or not _is_map(net, net.input):
        return {}
    for node in net.nodes:
        read = [name for name in node.inputs if name and not net.is_constant(name)]
        if not read or not any(_is_map(net, name) for name in (*read, *node.outputs)):
            continue
        weight = _weight(net, node) if node.op == "Conv" else None
        if node.op == "Conv" and weight is None:
            return {}
        if node.op == "Conv" or node.op in POOLS:
            found[node] = weight
        elif not _same_mirrored(net, node):
            return {}
    return found


def _same_mirrored(net: Net, node: OpNode) -> bool:
    """Whether a node computes of mirrored maps the mirror image of its result as it is."""
    if node.op in POINTWISE:
        return not any(_is_map(net, name) for name in node.inputs if net.is_constant(name))
    if node.op in ("GlobalAveragePool", "GlobalMaxPool"):
        return True
    try:
        if node.op == "ReduceMean":
            return sorted(axes_of(net, node) or ()) == [2, 3]
        return node.op == "Concat" and axis_of(net, node) == 1
    except CompileError:
        return False


def _weight(net: Net, node: OpNode) -> Array | None:
    """A convolution's weight, or the integers of it; None if it is neither."""
    name = node.inputs[1]
    maker = next((other for other in net.nodes if name in other.outputs), None)
    if maker is not None and maker.op == "DequantizeLinear":
        scale = net.constants.get(maker.inputs[1])
        along = maker.attrs.get("axis", 1) in (0, 1, -3, -4)
        if scale is None or not (scale.size == 1 or along) or maker.attrs.get("block_size"):
            return None
        name = maker.inputs[0]
    weight = net.constants.get(name)
    return weight if weight is not None and weight.ndim == 4 else None


def _opposite(axis: Axis) -> Axis:
    """The axis of a convolution or pool of the mirrored map."""
    after = (axis.out - 1) * axis.stride + axis.span - axis.side - axis.pad
    return dataclasses.replace(axis, pad=after)


def _axes_of(net: Net, node: OpNode, weight: Array | None, way: Way) -> list[Axis]:
    """Both axes of a layer, mirrored."""
    if weight is None:
        weight = np.zeros((1, 1, *node.attrs["kernel_shape"]))
    axes, _ = conv_axes(net, node, weight.shape)
    return [_opposite(axis) if turn else axis for axis, turn in zip(axes, way, strict=True)]


def _cost(net: Net, layers: dict[OpNode, Array | None], way: Way) -> float:
    """Cycles of the layers, about; infinite where one has no such form."""
    total = 0.0
    for node, weight in layers.items():
        try:
            axes = _axes_of(net, node, weight, way)
            total += (
                _pool_cost(net, node, axes, way)
                if weight is None
                else _conv_cost(node, axes, weight, way)
            )
        except (CompileError, KeyError):
            return math.inf
    return total


def _conv_cost(node: OpNode, axes: Sequence[Axis], weight: Array, way: Way) -> float:
    if any(way) and min(axis.pad for axis in axes) < 0:
        if not _one_tap(axes):
            return math.inf
        axes = [dataclasses.replace(axis, pad=0) for axis in axes]  # of the pixels that it reads
    if all((axis.span, axis.out, axis.pad) == (axis.side, 1, 0) for axis in axes):
        return 0.0  # a dense layer of the whole map
    choice = cheapest(axes, weight.shape, int(node.attrs.get("group", 1)))
    return math.inf if choice is None else choice.cost


def _one_tap(axes: Sequence[Axis]) -> bool:
    """Whether a convolution reads one pixel, and never off the map."""
    return all(axis.span == 1 and axis.pad <= 0 for axis in axes)


def _pool_cost(net: Net, node: OpNode, axes: Sequence[Axis], way: Way) -> float:
    """What is moved before and behind a pool; infinite where its mirror image averages others."""
    kernels = [axis.span for axis in axes]
    begins = [axis.pad for axis in axes]
    unequal = kernels[0] != kernels[1] or min(begins) < 0
    if any(way) and (unequal or (node.attrs.get("ceil_mode") and node.op == "AveragePool")):
        return math.inf
    if unequal:
        return 0.0
    channels, strides, made = net.shapes[node.output][1], [a.stride for a in axes], []
    made = [axis.out for axis in axes]
    pads = [*begins, *(_opposite(axis).pad for axis in axes)]
    windows = core_windows(kernels[0], strides, pads, made, [axis.side for axis in axes])
    parts = [part for part in (windows.border, windows.part) if part]
    return sum(channels * part.height * ceil_div(part.width, MOVED) for part in parts)


class _Mirrored:
    """The mirrored network under construction."""

    def __init__(self, net: Net, layers: dict[OpNode, Array | None], way: Way) -> None:
        self.old, self.layers, self.way = net, layers, way
        self.fresh = net.fresh_names()
        self.constants, self.shapes = dict(net.constants), dict(net.shapes)
        self.types = dict(net.types)
        self.nodes: list[OpNode] = []

    def net(self) -> Net:
        """The network that reads the mirrored image."""
        net, image = self.old, self.old.input
        turned = self._sliced(image, [(-1, -(1 << 31), -1) if turn else None for turn in self.way])
        head = net.head or EndNodes(nodes=(), source=image, result=image)
        head = EndNodes(nodes=(*head.nodes, *self.nodes), source=head.source, result=turned)
        self.nodes = []
        for node in net.nodes:
            inputs = tuple(turned if name == image else name for name in node.inputs)
            weight, moved = self.layers.get(node), dataclasses.replace(node, inputs=inputs)
            if weight is not None:
                moved = self._conv(node, moved, weight)
            elif node in self.layers:
                moved = dataclasses.replace(moved, attrs=self._attrs(node, None))
            self.nodes.append(moved)
        return net.replace(
            nodes=tuple(self.nodes),
            constants=self.constants,
            shapes=self.shapes,
            types=self.types,
            input=turned,
            head=head,
            mirrored=self.way,
        )

    def _attrs(self, node: OpNode, weight: Array | None) -> dict[str, object]:
        """A layer's attributes with pads as numbers, those of the mirrored map."""
        axes = _axes_of(self.old, node, weight, self.way)
        pads = [*(axis.pad for axis in axes), *(_opposite(axis).pad for axis in axes)]
        attrs = {key: value for key, value in node.attrs.items() if key != "ceil_mode"}
        return attrs | {"auto_pad": "NOTSET", "pads": [max(0, pad) for pad in pads]}

    def _conv(self, node: OpNode, moved: OpNode, weight: Array) -> OpNode:
        """The convolution with its kernel mirrored; one tap reads the pixels that it is given."""
        axes = _axes_of(self.old, node, weight, self.way)
        inputs, attrs = list(moved.inputs), self._attrs(node, weight)
        inputs[1] = self._turned(node, weight)
        if min(axis.pad for axis in axes) < 0:
            ends = [(axis.out - 1) * axis.stride - axis.pad + 1 for axis in axes]
            bounds = [(-a.pad, end, a.stride) for a, end in zip(axes, ends, strict=True)]
            inputs[0] = self._sliced(inputs[0], bounds)
            attrs |= {"pads": [0] * 4, "strides": [1, 1]}
        return dataclasses.replace(moved, inputs=tuple(inputs), attrs=attrs)

    def _turned(self, node: OpNode, weight: Array) -> str:
        """The tensor of a mirrored kernel, dequantised as it was."""
        axes = [axis for axis, turn in zip((2, 3), self.way, strict=True) if turn]
        array = np.ascontiguousarray(np.flip(weight, tuple(axes)))
        name = self._constant(f"{node.inputs[1]}.mirrored", array)
        if self.old.is_constant(node.inputs[1]):
            return name
        maker = next(other for other in self.old.nodes if node.inputs[1] in other.outputs)
        made = self.fresh(f"{node.inputs[1]}.real")
        self.shapes[made], self.types[made] = array.shape, "float32"
        self.nodes.append(
            dataclasses.replace(maker, inputs=(name, *maker.inputs[1:]), outputs=(made,))
        )
        return made

    def _sliced(self, name: str, bounds: Sequence[tuple[int, int, int] | None]) -> str:
        """A slice (first, end, step) of rows and columns of a map; None: all of them."""
        axes = [axis for axis, bound in zip((2, 3), bounds, strict=True) if bound]
        columns = np.array([bound for bound in bounds if bound], np.int64).T
        inputs = [
            self._constant(f"{name}.slice", np.ascontiguousarray(array))
            for array in (columns[0], columns[1], np.array(axes, np.int64), columns[2])
        ]
        shape = list(self.shapes[name])
        for axis, bound in zip((2, 3), bounds, strict=True):
            if bound:
                shape[axis] = len(range(shape[axis])[slice(*bound)])
        made = self.fresh(f"{name}.taken")
        self.shapes[made], self.types[made] = tuple(shape), self.types[name]
        self.nodes.append(
            OpNode(name=made, op="Slice", inputs=(name, *inputs), outputs=(made,), attrs={})
        )
        return made

    def _constant(self, wanted: str, array: Array) -> str:
        name = self.fresh(wanted)
        self.constants[name], self.shapes[name] = array, array.shape
        self.types[name] = array.dtype.name
        return name

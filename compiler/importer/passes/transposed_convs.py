"""Pass: a transposed convolution with stride 2 is four convolutions, one a phase of its result.

Row 2 y + a of the result has the taps k of the kernel with k = a + pad - 2 d, each of row y + d of
the map: an ordinary convolution of the map with every second tap, last first.  The same of columns.
The four results are the planes of one map: Concat, and DepthToSpace.  What follows number by number
(batch norms, activations, scores, quantisers) is done to each of the four.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.names import FreshNames

#: What makes each number of one number of the same place, beside constants and scores.
POINTWISE = frozenset(
    ["Add", "BatchNormalization", "Clip", "DequantizeLinear", "Elu", "Gelu", "HardSigmoid"]
    + ["HardSwish", "LeakyRelu", "Max", "Min", "Mish", "Mul", "PRelu", "QuantizeLinear", "Relu"]
    + ["Selu", "Sigmoid", "Softplus", "Softsign", "Sub", "Swish", "Tanh"]
)
HINT = "strides of 2 on rows and columns, without dilation: ConvTranspose2d(.., stride=2)"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """One axis of one phase: its taps from the first to the last (None: a zero), and how far
    they begin before the map and end behind it."""

    taps: tuple[int | None, ...]
    before: int
    after: int


def transposed_convs(net: Net) -> Net:
    """Legal for strides of 2 with constant weights; preserves the result.

    Raises:
        CompileError: another stride, a dilation, or weights that are no constants.
    """
    if not any(node.op == "ConvTranspose" for node in net.nodes):
        return net
    return _Rewriter(net).net()


class _Rewriter:
    """The nodes, constants, shapes and types of the network being written."""

    def __init__(self, net: Net) -> None:
        self.old = net
        self.fresh: FreshNames = net.fresh_names()
        self.constants, self.shapes = dict(net.constants), dict(net.shapes)
        self.types = dict(net.types)
        self.made = {name: node for node in net.nodes for name in node.outputs}
        self.readers: dict[str, list[OpNode]] = {}
        for node in net.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        self.nodes: list[OpNode] = []

    def net(self) -> Net:
        """Each transposed convolution stands where the last node is that is done to its phases."""
        chains = {}
        for node in self.old.nodes:
            if node.op == "ConvTranspose":
                chain = self._chain(node)
                chains[chain[-1].output] = chain
        gone = {each.output for chain in chains.values() for each in chain}
        for node in self.old.nodes:
            if node.output in chains:
                self._phases(chains[node.output])
            elif node.output not in gone:
                self.nodes.append(node)
        return self.old.replace(
            nodes=tuple(self.nodes),
            constants=self.constants,
            shapes=self.shapes,
            types=self.types,
        )

    def _chain(self, node: OpNode) -> list[OpNode]:
        """The node and what follows it number by number."""
        chain = [node]
        while chain[-1].output not in self.old.results:
            name = chain[-1].output
            following = self.readers.get(name, [])
            if len(following) != 1 or not self._pointwise(following[0], name):
                break
            chain.append(following[0])
        return chain

    def _pointwise(self, node: OpNode, name: str) -> bool:
        """Whether a node makes of each number of `name` one, the same way for every pixel."""
        if node.op not in POINTWISE or node.inputs.count(name) != 1 or len(node.outputs) != 1:
            return False
        if node.op in ("Add", "Sub", "Max", "Min") and not all(
            other == name or self.old.is_constant(other) for other in node.inputs
        ):
            return False
        rest = [other for other in node.inputs if other and other != name]
        if node.op in ("BatchNormalization", "DequantizeLinear", "QuantizeLinear"):
            return node.inputs[0] == name and all(map(self.old.is_constant, rest))
        shapes = [self.old.shapes.get(other, (0,)) for other in rest]
        return all(math.prod(shape[-2:]) == 1 for shape in shapes)

    # -- one of them -----------------------------------------------------------------------------

    def _phases(self, chain: Sequence[OpNode]) -> None:
        """Four convolutions with what follows each, and their planes as one map."""
        node, last = chain[0], chain[-1]
        axes, weight = _axes(self.old, node), self._weight(node)
        channels, *sides = self.old.shapes[node.output][1:]
        plane = tuple((side + 1) // 2 for side in sides)
        planes = []
        for phase in range(4):
            both = axes[0][phase >> 1], axes[1][phase & 1]
            name = self._conv(node, phase, both, weight, (1, channels, *plane))
            for before, each in itertools.pairwise(chain):
                name = self._repeated(each, before.output, phase, name)
            planes.append(name)
        joined = self._like(last, f"{last.output}.planes", (1, 4 * channels, *plane))
        self._add(last, "Concat", tuple(planes), joined, axis=1)
        even = [2 * side for side in plane]
        if even == sides:
            self._add(node, "DepthToSpace", (joined,), last.output, blocksize=2)
            return
        whole = self._like(last, f"{last.output}.even", (1, channels, *even))
        self._add(node, "DepthToSpace", (joined,), whole, blocksize=2)
        bounds = [np.array(each, np.int64) for each in ([0, 0], sides, [2, 3])]
        names = [self._constant(f"{last.output}.bounds", each) for each in bounds]
        self._add(node, "Slice", (whole, *names), last.output)

    def _conv(
        self,
        node: OpNode,
        phase: int,
        axes: tuple[_Axis, _Axis],
        weight: tuple[Array, OpNode | None],
        shape: tuple[int, ...],
    ) -> str:
        """The convolution of one phase; the tensor of `shape` that it makes."""
        rows, columns = axes
        taken = _taps(_taps(weight[0], 2, rows.taps), 3, columns.taps)
        kernel = self._constant(f"{node.output}.kernel{phase}", np.ascontiguousarray(taken))
        if (quantizer := weight[1]) is not None:
            real = self._like(node, f"{kernel}.real", taken.shape)
            scales = [self._each_output(node, name) for name in quantizer.inputs[1:]]
            wide = self.constants[scales[0]].size > 1
            axis = {"axis": 0} if wide else {}
            self._add(quantizer, "DequantizeLinear", (kernel, *scales), real, **axis)
            kernel = real
        name = self._like(node, f"{node.output}.phase{phase}", shape)
        attrs = {
            "group": int(node.attrs.get("group", 1)),
            "kernel_shape": list(taken.shape[2:]),
            "pads": [rows.before, columns.before, rows.after, columns.after],
        }
        inputs = (node.inputs[0], kernel, *node.inputs[2:])
        label = f"{node.label}.phase{phase}"
        self.nodes.append(
            OpNode(name=label, op="Conv", inputs=inputs, outputs=(name,), attrs=attrs)
        )
        return name

    def _repeated(self, node: OpNode, read: str, phase: int, source: str) -> str:
        """A node of the chain, which reads `read`, for one phase, `source`."""
        name = self._like(node, f"{node.output}.phase{phase}", self.shapes[source])
        inputs = tuple(source if each == read else each for each in node.inputs)
        label = f"{node.label}.phase{phase}"
        self.nodes.append(dataclasses.replace(node, name=label, inputs=inputs, outputs=(name,)))
        return name

    def _weight(self, node: OpNode) -> tuple[Array, OpNode | None]:
        """The weight as a convolution has it, (O, I / groups, kh, kw), and what dequantises it."""
        name, maker = node.inputs[1], self.made.get(node.inputs[1])
        if maker is not None and maker.op == "DequantizeLinear":
            name = maker.inputs[0]
            along = maker.attrs.get("axis", 1) in (1, -3)
            scale = self.constants.get(maker.inputs[1])
            if scale is None or (scale.size > 1 and not along) or maker.attrs.get("block_size"):
                raise node.error(
                    "its weight scales are not per output channel (axis 1)",
                    "quantise the weight with one scale, or one an output channel",
                )
        else:
            maker = None
        weight = self.constants.get(name)
        if weight is None or weight.ndim != 4:
            raise node.error("its weight is not a constant of four dimensions")
        groups = int(node.attrs.get("group", 1))
        inputs, outputs, *kernel = weight.shape
        split = weight.reshape(groups, inputs // groups, outputs, *kernel)
        return split.swapaxes(1, 2).reshape(groups * outputs, inputs // groups, *kernel), maker

    def _each_output(self, node: OpNode, name: str) -> str:
        """Scales or zero points of the outputs of a group as those of all outputs."""
        groups, array = int(node.attrs.get("group", 1)), self.constants.get(name)
        if groups == 1 or array is None or array.size == 1:
            return name
        return self._constant(f"{name}.groups", np.tile(array, groups))

    def _add(
        self, node: OpNode, op: str, inputs: tuple[str, ...], output: str, **attrs: object
    ) -> None:
        made = OpNode(name=node.name, op=op, inputs=inputs, outputs=(output,), attrs=attrs)
        self.nodes.append(made)

    def _like(self, node: OpNode, wanted: str, shape: Sequence[int]) -> str:
        """A new tensor of the type of what a node makes; its name."""
        name = self.fresh(wanted)
        self.shapes[name] = tuple(shape)
        self.types[name] = self.old.types.get(node.output, "float32")
        return name

    def _constant(self, wanted: str, array: Array) -> str:
        name = self.fresh(wanted)
        self.constants[name], self.shapes[name] = array, array.shape
        self.types[name] = array.dtype.name
        return name


def _taps(weight: Array, axis: int, taps: Sequence[int | None]) -> Array:
    """Some taps of a kernel along an axis, zeros for None."""
    size = weight.shape[axis]
    padded = np.concatenate([weight, np.zeros_like(np.take(weight, [0], axis))], axis)
    return np.take(padded, [size if tap is None else tap for tap in taps], axis)


def _axes(net: Net, node: OpNode) -> tuple[tuple[_Axis, _Axis], tuple[_Axis, _Axis]]:
    """Rows and columns, each in its two phases."""
    shape, made = net.shapes.get(node.inputs[0], ()), net.shapes.get(node.output, ())
    kernel = net.shapes.get(node.inputs[1], ())[2:]
    if len(shape) != 4 or len(made) != 4 or len(kernel) != 2:
        raise node.error("is no transposed convolution of a map of known size", HINT)
    strides = [int(step) for step in node.attrs.get("strides", [1, 1])]
    if strides != [2, 2]:
        raise node.error(f"has strides {strides}", HINT)
    if any(step != 1 for step in node.attrs.get("dilations", [1, 1])):
        raise node.error(f"has dilations {list(node.attrs['dilations'])}", HINT)
    more = [int(rows) for rows in node.attrs.get("output_padding", [0, 0])]
    if any(rows not in (0, 1) for rows in more):
        raise node.error(f"has output_padding {more}", "0 or 1, less than the stride")
    pads = _pads(node, shape[2:], made[2:], kernel, more)
    rows, columns = (
        (_phase(0, *axis), _phase(1, *axis))
        for axis in zip(shape[2:], made[2:], kernel, pads, strict=True)
    )
    return rows, columns


def _pads(
    node: OpNode,
    sides: Sequence[int],
    made: Sequence[int],
    kernel: Sequence[int],
    more: Sequence[int],
) -> list[int]:
    """Rows above and columns left of the result that are left out."""
    mode, given = node.attrs.get("auto_pad", "NOTSET"), node.attrs.get("pads", [0] * 4)
    whole = [2 * (side - 1) + size for side, size in zip(sides, kernel, strict=True)]
    if mode == "VALID":
        return [0, 0]
    if mode == "NOTSET" and "output_shape" not in node.attrs:
        ends = [
            2 * (side - 1) + extra + size - before - after
            for side, extra, size, before, after in zip(
                sides, more, kernel, given[:2], given[2:], strict=True
            )
        ]
        if ends != list(made):
            raise node.error(f"makes {list(made)}, by its pads {ends}")
        return [int(pad) for pad in given[:2]]
    if mode not in ("NOTSET", "SAME_UPPER", "SAME_LOWER"):
        raise node.error(f"has auto_pad {mode!a}", "NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    if any(more):  # onnxruntime leaves it out, ONNX's shape inference does not
        raise node.error(
            f"has output_padding {more} beside {mode} or output_shape: runtimes disagree",
            "give its pads as numbers",
        )
    total = [size - out for size, out in zip(whole, made, strict=True)]
    if min(total) < 0:
        raise node.error(f"makes {list(made)}, more than its kernel reaches", "give it pads")
    return [lost // 2 if mode == "SAME_UPPER" else lost - lost // 2 for lost in total]


def _phase(phase: int, side: int, out: int, size: int, pad: int) -> _Axis:
    """One phase of an axis of `side` places, whose result has `out`."""
    places = (out + 1) // 2
    low = min(-((size - 1 - phase - pad) // 2), 0)
    high = max((phase + pad) // 2, side - places, low)
    taps = [phase + pad - 2 * step for step in range(low, high + 1)]
    return _Axis(
        taps=tuple(tap if 0 <= tap < size else None for tap in taps),
        before=-low,
        after=places - 1 + high - (side - 1),
    )

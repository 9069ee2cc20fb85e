"""Pass: a dense layer of a map, or of a vector that no average made, becomes a convolution.

The core's dense layers read sums of maps (GATE, DENSE).  Gemm behind Flatten is a convolution with
a kernel as large as the map, one behind another dense layer, or behind an image of one dimension,
one of 1x1: that streams its weights and keeps none on the chip.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from penstock.compiler.importer.axes import axis_of, permutation_of
from penstock.compiler.importer.net import Array, Net, OpNode

VIEWS = frozenset(["Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"])
QUANTIZERS = frozenset(["DequantizeLinear", "QuantizeLinear"])
CLIPS = frozenset(["Clip", "Max", "Min", "Relu"])
DENSE = frozenset(["Gemm", "MatMul"])


def dense_as_conv(net: Net) -> Net:
    """Rewrite Gemm and MatMul with constant weights, of one scale an output if they are quantised.

    Preserves every value but for the shape of those that a Flatten made vectors of.
    """
    rewriter = _Rewriter(net)
    for node in net.nodes:
        rewriter.add(node)
    return rewriter.result()


class _Rewriter:
    """The network being written; `lifted`: of a tensor, the map that holds its numbers, and which
    of them (an index of the flattened map) each element is."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.makers = {name: node for node in net.nodes for name in node.outputs}
        self.nodes: list[OpNode] = []
        self.constants, self.shapes = dict(net.constants), dict(net.shapes)
        self.types = dict(net.types)
        self.fresh = net.fresh_names()
        self.pooled: dict[str, bool] = {}
        self.lifted: dict[str, tuple[str, Array]] = {}

    def add(self, node: OpNode) -> None:
        """The node, or what takes its place."""
        if node.op in DENSE and (layer := self._layer(node)) is not None:
            self._convolve(node, *layer)
        else:
            self.nodes.append(node)

    def result(self) -> Net:
        """The network; maps take the names of the vectors that nothing reads any more."""
        net = self.net.replace(
            nodes=tuple(self.nodes),
            constants=self.constants,
            shapes=self.shapes,
            types=self.types,
        )
        return _renamed(
            net,
            {
                maps: name
                for name, (maps, index) in self.lifted.items()
                if (index.reshape(-1) == np.arange(index.size)).all()
            },
        )

    # -- which layers --------------------------------------------------------------------------

    def _layer(self, node: OpNode) -> "tuple[_Weight, str] | None":
        """(weight, bias's name or "") of a dense layer that becomes a convolution."""
        shape = self.net.shapes.get(node.inputs[0], ())
        attrs = node.attrs
        plain = attrs.get("alpha", 1.0) == attrs.get("beta", 1.0) == 1.0 and not attrs.get("transA")
        if len(shape) != 2 or shape[0] != 1 or not plain or self._is_pooled(node.inputs[0]):
            return None
        weight = self._weight(node)
        if weight is None or weight.integers.shape[1] != shape[1]:
            return None
        bias = self._bias(node, len(weight.integers))
        return None if bias is None else (weight, bias)

    def _is_pooled(self, name: str) -> bool:
        """Whether a vector is made of averages of maps, perhaps through dense layers."""
        if name not in self.pooled:
            self.pooled[name] = self._found_pooled(name)
        return self.pooled[name]

    def _found_pooled(self, name: str) -> bool:
        net, node = self.net, self.makers.get(name)
        if node is None:
            return False
        source = node.inputs[0]
        if node.op in ("GlobalAveragePool", "ReduceMean"):
            return True
        if node.op == "AveragePool":
            return list(node.attrs["kernel_shape"]) == list(net.shapes[source][2:])
        if node.op in VIEWS | CLIPS | QUANTIZERS | DENSE or node.op in ("Add", "Mul", "Split"):
            return any(self._is_pooled(n) for n in node.inputs if n and not net.is_constant(n))
        if node.op == "Conv":  # of a pooled vector: a dense layer too
            return math.prod(net.shapes[source][2:]) == 1 and self._is_pooled(source)
        return node.op not in ("MaxPool", "Concat", "Identity")

    def _weight(self, node: OpNode) -> "_Weight | None":
        """The constant (outputs first) and how it is dequantised."""
        outputs_first = node.op == "Gemm" and bool(node.attrs.get("transB", 0))
        name, maker = node.inputs[1], self.makers.get(node.inputs[1])
        if maker is not None and maker.op == "Transpose":
            if permutation_of(self.net, maker) != (1, 0):
                return None
            outputs_first = not outputs_first
            name, maker = maker.inputs[0], self.makers.get(maker.inputs[0])
        quantizer = maker if maker is not None and maker.op == "DequantizeLinear" else None
        array = self.constants.get(quantizer.inputs[0] if quantizer else name)
        if array is None or array.ndim != 2:
            return None
        if quantizer is not None:
            scale = self.constants.get(quantizer.inputs[1])
            if scale is None or scale.ndim > 1:
                return None
            if scale.size > 1 and axis_of(self.net, quantizer) != (0 if outputs_first else 1):
                return None
        return _Weight(integers=array if outputs_first else array.T, quantizer=quantizer)

    def _bias(self, node: OpNode, outputs: int) -> str | None:
        """The bias as a vector; "" if there is none, None if it has another form."""
        name = node.optional_input(2)
        if not name:
            return ""
        if name in self.constants:
            array = self.constants[name]
            if array.size not in (1, outputs):
                return None
            return self._constant(f"{name}.vector", np.broadcast_to(array.reshape(-1), (outputs,)))
        return name if self.net.shapes.get(name) == (outputs,) else None

    # -- what takes their place ----------------------------------------------------------------

    def _convolve(self, node: OpNode, weight: "_Weight", bias: str) -> None:
        source, index = self._lift(node.inputs[0])
        outputs, sides = len(weight.integers), self.shapes[source][1:]
        flat = np.empty((outputs, index.size), weight.integers.dtype)
        flat[:, index.reshape(-1)] = weight.integers
        name = self._constant(f"{node.output}.kernel", flat.reshape(outputs, *sides))
        if weight.quantizer is not None:
            made = self.fresh(f"{node.output}.kernel_dequantized")
            inputs = (name, *weight.quantizer.inputs[1:])
            self._node("DequantizeLinear", inputs, made, (outputs, *sides), {"axis": 0})
            name = made
        made = self.fresh(f"{node.output}.map")
        inputs = (source, name, bias) if bias else (source, name)
        attrs = {"kernel_shape": list(sides[1:])}
        self._node("Conv", inputs, made, (1, outputs, 1, 1), attrs, label=node.label)
        self._view(made, self.net.shapes[node.output], node.output)

    def _lift(self, name: str) -> tuple[str, Array]:
        """The map of a vector's numbers, from before the views that made a vector of it."""
        if name in self.lifted:
            return self.lifted[name]
        shape, node = self.net.shapes[name], self.makers.get(name)
        if len(shape) == 4 and not self._behind_a_view(name):
            self.lifted[name] = name, np.arange(math.prod(shape)).reshape(shape)
        elif node is not None and node.op in VIEWS:
            source, index = self._lift(node.inputs[0])
            if node.op == "Transpose":
                index = index.transpose(permutation_of(self.net, node))
            self.lifted[name] = source, index.reshape(shape)
        elif node is not None and self._elementwise(node):
            source, index = self._lift(node.inputs[0])
            made = self.fresh(f"{name}.map")
            inputs, attrs = (source, *node.inputs[1:]), dict(node.attrs)
            self._node(node.op, inputs, made, self.shapes[source], attrs, kind=self.types[name])
            self.lifted[name] = made, index
        else:
            made = self.fresh(f"{name}.map")
            full = (1, math.prod(shape), 1, 1)
            self._view(name, full, made)
            self.lifted[name] = made, np.arange(math.prod(shape)).reshape(shape)
        return self.lifted[name]

    def _behind_a_view(self, name: str) -> bool:
        """Whether a tensor is what a view made, perhaps clipped and quantised since."""
        node = self.makers.get(name)
        while node is not None and self._elementwise(node):
            node = self.makers.get(node.inputs[0])
        return node is not None and node.op in VIEWS

    def _elementwise(self, node: OpNode) -> bool:
        """Whether a node does the same to every number: a clip, or a quantiser of one scale."""
        others = [self.constants.get(name) for name in node.inputs[1:] if name]
        known = all(array is not None and array.size == 1 for array in others)
        return node.op in CLIPS | QUANTIZERS and known and node.inputs[0] in self.makers

    def _view(self, source: str, shape: tuple[int, ...], output: str) -> None:
        target = self._constant(f"{output}.shape", np.array(shape, np.int64))
        self._node("Reshape", (source, target), output, tuple(shape), {}, kind=self.types[source])

    def _constant(self, wanted: str, array: Array) -> str:
        name = self.fresh(wanted)
        self.constants[name] = np.ascontiguousarray(array)
        self.shapes[name], self.types[name] = array.shape, array.dtype.name
        return name

    def _node(
        self,
        op: str,
        inputs: tuple[str, ...],
        output: str,
        shape: tuple[int, ...],
        attrs: Mapping[str, object],
        *,
        kind: str = "float32",
        label: str = "",
    ) -> None:
        self.shapes[output], self.types[output] = shape, kind
        self.nodes.append(
            OpNode(name=label or output, op=op, inputs=inputs, outputs=(output,), attrs=attrs)
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Weight:
    """(outputs, inputs), and the node that dequantises it, if one does."""

    integers: Array
    quantizer: OpNode | None


def _renamed(net: Net, wanted: dict[str, str]) -> Net:
    """The network with maps under the names of the vectors they replace, where those are free."""
    read, dead = set(net.results), set()
    for node in reversed(net.nodes):
        if node.output in wanted.values() and not read.intersection(node.outputs):
            dead.add(node.output)
        else:
            read.update(node.inputs)
    names = {maps: name for maps, name in wanted.items() if name in dead and maps.endswith(".map")}
    if not names:
        return net
    nodes = [node for node in net.nodes if node.output not in dead]
    shapes = {name: shape for name, shape in net.shapes.items() if name not in dead}
    for maps, name in names.items():
        shapes[name] = net.shapes[maps]
    return net.replace(
        nodes=tuple(
            dataclasses.replace(
                node,
                inputs=tuple(names.get(name, name) for name in node.inputs),
                outputs=tuple(names.get(name, name) for name in node.outputs),
            )
            for node in nodes
        ),
        shapes=shapes,
    )

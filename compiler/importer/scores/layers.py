"""Dense layers with other rows than a network has: some of its rows, negated ones, differences."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from penstock.compiler.importer.axes import axis_of
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.scores.curve import NoCurveError

HINT = (
    "let the dense layer make one logit, the difference: weights w1 - w0 of eight bits; compiling "
    "the float network with --calibration does that"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Weights (n, inputs) and biases (n,) of a dense layer, an output a row.

    `scale` (n,) and `bias_scale` (n,) or None: of integers; without them the numbers are real.
    """

    weight: Array
    bias: Array
    scale: Array | None = None
    bias_scale: Array | None = None

    @property
    def quantized(self) -> bool:
        """Whether the weights are integers."""
        return self.scale is not None

    def taken(self, plus: Array, minus: Array, node: OpNode) -> "Rows":
        """Row plus[i] - minus[i]; -1 stands for zeros.

        Raises:
            CompileError: about `node`: a difference of integers is no int8.
        """
        if self.scale is None:
            return Rows(weight=_difference(self.weight, plus, minus), bias=self._bias(plus, minus))
        weight = _difference(self.weight.astype(np.int64), plus, minus)
        scales = self.scale[plus], self.scale[minus]
        both = (plus >= 0) & (minus >= 0)
        if (scales[0] != scales[1])[both].any():
            raise node.error("decides between logits whose weights have two scales", HINT)
        if weight.min(initial=0) < -128 or weight.max(initial=0) > 127:
            raise node.error("decides by a difference of weights that takes nine bits", HINT)
        return Rows(
            weight=weight.astype(np.int8),
            bias=self._bias(plus, minus),
            scale=np.where(plus >= 0, *scales),
            bias_scale=self._bias_scale(plus, minus, both, node),
        )

    def _bias(self, plus: Array, minus: Array) -> Array:
        kind = np.float64 if self.bias_scale is None else np.int64
        return _difference(self.bias.astype(kind), plus, minus)

    def _bias_scale(self, plus: Array, minus: Array, both: Array, node: OpNode) -> Array | None:
        if self.bias_scale is None:
            return None
        scales = self.bias_scale[plus], self.bias_scale[minus]
        if (scales[0] != scales[1])[both].any():
            raise node.error("decides between logits whose biases have two scales", HINT)
        return np.where(plus >= 0, *scales)


def _difference(array: Array, plus: Array, minus: Array) -> Array:
    wide = np.concatenate([array, np.zeros_like(array[:1])])  # index -1
    return np.asarray(wide[plus] - wide[minus])


def read_rows(net: Net, layer: OpNode, made: Mapping[str, OpNode]) -> Rows:
    """The rows of a dense layer.

    Raises:
        NoCurveError: its weight or bias is no constant, or it is no plain dense layer.
    """
    axis = _output_axis(net, layer)
    weight, scale = _array(net, layer.inputs[1], made, axis)
    if layer.op == "Conv":
        weight = weight.reshape(len(weight), -1)
    weight = weight if axis == 0 else weight.T
    bias, bias_scale = np.zeros(len(weight)), None
    if layer.optional_input(2):
        bias, bias_scale = _array(net, layer.inputs[2], made, 0)
        bias = np.broadcast_to(bias.reshape(-1), (len(weight),))
    if scale is not None:
        scale = np.broadcast_to(scale, (len(weight),))
    if bias_scale is not None:
        bias_scale = np.broadcast_to(bias_scale, (len(weight),))
    return Rows(weight=weight, bias=bias, scale=scale, bias_scale=bias_scale)


def _output_axis(net: Net, layer: OpNode) -> int:
    attrs = layer.attrs
    if layer.op == "Conv":
        shape = net.shapes.get(layer.inputs[1], ())
        if tuple(shape[2:]) != (1, 1) or attrs.get("group", 1) != 1 or any(attrs.get("pads", [])):
            raise NoCurveError
        return 0
    if attrs.get("alpha", 1.0) != 1.0 or attrs.get("beta", 1.0) != 1.0 or attrs.get("transA", 0):
        raise NoCurveError
    return 0 if attrs.get("transB", 0) else 1


def _array(
    net: Net, name: str, made: Mapping[str, OpNode], axis: int
) -> tuple[Array, Array | None]:
    """A constant and None, or the integers of a dequantised one and its scales."""
    if name in net.constants:
        return net.constants[name], None
    node = made.get(name)
    if node is None or node.op != "DequantizeLinear" or len(node.inputs) < 2:
        raise NoCurveError
    integers, scale = (net.constants.get(operand) for operand in node.inputs[:2])
    zero = net.constants.get(node.optional_input(2), np.zeros(1))
    if integers is None or scale is None or zero.any() or scale.ndim > 1:
        raise NoCurveError
    if scale.size > 1 and integers.ndim > 1 and axis_of(net, node) != axis:
        raise NoCurveError
    return integers, scale.reshape(-1)


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of several layers, one after the other."""
    if len({(part.quantized, part.bias_scale is None) for part in parts}) > 1:
        raise NoCurveError
    first = parts[0]
    return Rows(
        weight=np.concatenate([part.weight for part in parts]),
        bias=np.concatenate([part.bias for part in parts]),
        scale=None if first.scale is None else np.concatenate([_scale(p.scale) for p in parts]),
        bias_scale=None
        if first.bias_scale is None
        else np.concatenate([_scale(p.bias_scale) for p in parts]),
    )


def _scale(scale: Array | None) -> Array:
    assert scale is not None
    return scale

"""Write scores in the operators that lowering reads: Gemm, then Greater, Clip or Sigmoid."""

from collections.abc import Sequence

import numpy as np

from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.scores.curve import NoCurveError
from penstock.compiler.importer.scores.form import NONE, Element
from penstock.compiler.importer.scores.layers import joined, read_rows
from penstock.compiler.importer.scores.read import Scores
from penstock.compiler.importer.scores.shape import HALF, ONE, ZERO, Score, score_of

FLOAT, FLOAT_TYPE = np.float32, 1


class Writer:
    """Nodes and constants that take the place of what made a tensor."""

    def __init__(self, net: Net, scores: Scores) -> None:
        self.net, self.scores = net, scores
        self.fresh = net.fresh_names()
        self.constants: dict[str, Array] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.types: dict[str, str] = {}
        self.nodes: list[OpNode] = []
        self.target = ""

    def write(self, name: str) -> list[OpNode]:
        """The nodes that make tensor `name`, the last one under that name.

        Raises:
            NoCurveError: the core has no such score.
            CompileError: weights of a decision between two logits that are no int8.
        """
        self.nodes, self.target = [], name
        elements = self.scores.elements[name]
        shape = elements.shape
        flat: list[Element] = list(elements.reshape(-1))
        found = [score_of(element) for element in flat]
        forms = [form for form in found if form is not None]
        vector = max(shape, default=1) == len(flat)
        if not vector or len(forms) < len(flat) or len({(f.kind, f.tie) for f in forms}) > 1:
            raise NoCurveError
        value = self._score(flat, forms)
        if self._shape(value) != shape:
            sizes = self._constant(np.array(shape, np.int64), "shape")
            value = self._add("Reshape", (value, sizes), shape)
        last = self.nodes[-1]
        self.nodes[-1] = OpNode(
            name=last.name, op=last.op, inputs=last.inputs, outputs=(name,), attrs=last.attrs
        )
        return self.nodes

    def _score(self, flat: Sequence[Element], forms: Sequence[Score]) -> str:
        kind, tie = forms[0].kind, forms[0].tie
        if kind == "step" and tie not in (ZERO, HALF, ONE):
            raise NoCurveError
        z, sums = self._layer(flat, forms)
        size = self._shape(z)
        if kind == "step" and tie == HALF:
            z = self._affine(z, [ONE], [-bound for bound in sums])
            half = self._constant(np.array(0.5, FLOAT), "half")
            z = self._add("Sign", (z,), size)
            z = self._add("Add", (z, self._constant(np.array(1.0, FLOAT), "one")), size)
            return self._limited(self._add("Mul", (z, half), size))
        if kind == "step":
            bounds = self._numbers(sums, z, "threshold")
            op = "GreaterOrEqual" if tie else "Greater"
            z = self._add(op, (z, bounds), size, "bool")
            return self._add("Cast", (z,), size, to=FLOAT_TYPE)
        return self._limited(z) if kind == "ramp" else self._add("Sigmoid", (z,), size)

    def _limited(self, z: str) -> str:
        bounds = [self._constant(np.array(x, FLOAT), "bound") for x in (0.0, 1.0)]
        return self._add("Clip", (z, *bounds), self._shape(z))

    def _layer(self, flat: Sequence[Element], forms: Sequence[Score]) -> tuple[str, list]:
        """(the dense layer's output (1, n) or (1, n, 1, 1), the thresholds of a step)."""
        plus, minus = (
            [
                e.source.row if f.rising != swapped else e.source.other
                for e, f in zip(flat, forms, strict=True)
            ]
            for swapped in (False, True)
        )
        used = sorted({row for row in (*plus, *minus) if row != NONE})
        layers = list(
            {id(layer): layer for layer in (self.scores.rows[r][0] for r in used)}.values()
        )
        if len({layer.inputs[0] for layer in layers}) > 1 or len({x.op for x in layers}) > 1:
            raise NoCurveError
        thresholds = [form.threshold for form in forms]
        step = forms[0].kind == "step"
        gains, shifts = [form.gain for form in forms], [form.shift for form in forms]
        if len(layers) == 1 and self._is_whole(layers[0], plus, minus):
            if step or (set(gains) == {ONE} and set(shifts) == {ZERO}):
                return layers[0].output, thresholds
        rows = joined([read_rows(self.net, layer, self.scores.made) for layer in layers])
        starts = np.cumsum([0, *(np.prod(self.net.shapes[x.output]) for x in layers)])
        place = {id(layer): int(at) for layer, at in zip(layers, starts, strict=False)}
        at = [
            np.array(
                [
                    NONE
                    if r == NONE
                    else place[id(self.scores.rows[r][0])] + self.scores.rows[r][1]
                    for r in side
                ]
            )
            for side in (plus, minus)
        ]
        taken = rows.taken(at[0], at[1], self.scores.made[self.target])
        if taken.quantized:
            z = self._dense(layers[0], taken.weight, taken.bias, taken.scale, taken.bias_scale)
            return (z, thresholds) if step else (self._affine(z, gains, shifts), thresholds)
        weight, bias = taken.weight.astype(np.float64), taken.bias
        if not step:
            weight = weight * _reals(gains)[:, None]
            bias = bias * _reals(gains) + _reals(shifts)
        z = self._dense(layers[0], weight.astype(FLOAT), bias.astype(FLOAT), None, None)
        return z, thresholds

    def _is_whole(self, layer: OpNode, plus: list[int], minus: list[int]) -> bool:
        """Whether the rows are those of a layer as they are."""
        rows = [self.scores.rows[row] for row in plus if row != NONE]
        size = int(np.prod(self.net.shapes[layer.output]))
        return (
            set(minus) == {NONE}
            and len(rows) == len(plus) == size
            and [index for _, index in rows] == list(range(size))
        )

    def _dense(
        self,
        layer: OpNode,
        weight: Array,
        bias: Array,
        scale: Array | None,
        bias_scale: Array | None,
    ) -> str:
        conv = layer.op == "Conv"
        weight = weight.reshape(*weight.shape, 1, 1) if conv else weight
        count = len(weight)
        inputs = (
            layer.inputs[0],
            self._weight(weight, scale, "weight"),
            self._weight(bias, bias_scale, "bias"),
        )
        attrs = {"kernel_shape": [1, 1]} if conv else {"transB": 1}
        shape = (1, count, 1, 1) if conv else (1, count)
        return self._add("Conv" if conv else "Gemm", inputs, shape, name=layer.label, **attrs)

    def _weight(self, array: Array, scale: Array | None, what: str) -> str:
        if scale is None:
            return self._constant(array, what)
        integers = self._constant(array.astype(np.int8 if what == "weight" else np.int32), what)
        steps = self._constant(np.asarray(scale, FLOAT), f"{what}_scale")
        return self._add("DequantizeLinear", (integers, steps), array.shape, axis=0)

    def _affine(self, z: str, gains: Sequence, shifts: Sequence) -> str:
        """gain * z + shift, on the rows of a quantised layer."""
        shape = self._shape(z)
        if set(gains) != {ONE}:
            z = self._add("Mul", (z, self._numbers(gains, z, "gain")), shape)
        if set(shifts) != {ZERO}:
            z = self._add("Add", (z, self._numbers(shifts, z, "shift")), shape)
        return z

    def _shape(self, name: str) -> tuple[int, ...]:
        return self.shapes[name] if name in self.shapes else self.net.shapes[name]

    def _numbers(self, values: Sequence, z: str, what: str) -> str:
        """One number an output of `z`, or one; float32 where that is exact."""
        array = _reals(values[:1] if len(set(values)) == 1 else values)
        narrow = array.astype(FLOAT)
        array = narrow if (narrow == array).all() else array
        if len(array) == 1:
            return self._constant(array.reshape(()), what)
        return self._constant(array.reshape(self._shape(z)), what)

    def _constant(self, array: Array, what: str) -> str:
        name = self.fresh(f"{self.target}_{what}")
        self.constants[name] = array
        self.shapes[name] = array.shape
        self.types[name] = array.dtype.name
        return name

    def _add(
        self,
        op: str,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        kind: str = "float32",
        name: str = "",
        **attrs: object,
    ) -> str:
        output = self.fresh(f"{self.target}_{op.lower()}")
        self.nodes.append(
            OpNode(name=name or output, op=op, inputs=inputs, outputs=(output,), attrs=attrs)
        )
        self.shapes[output], self.types[output] = tuple(shape), kind
        return output


def _reals(values: Sequence) -> Array:
    return np.array([float(value) for value in values])

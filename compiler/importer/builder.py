"""The integer graph under construction, and the terms of the tensors seen so far."""

import dataclasses
from collections.abc import Hashable

import numpy as np

from penstock.compiler import ir, numerics
from penstock.compiler.importer.curves.find import find_curves
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.terms import Const, Image, Linear, Pending, Stored, Term
from penstock.program.base.arith import ceil_div


class Builder:
    """Collects values and nodes of the integer graph, keyed by tensor name."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.curves = find_curves(net)
        self.fresh = net.fresh_names()  # for values that are no tensor of the network
        self.terms: dict[str, Term] = {net.input: Image(name=net.input)}
        self.values: dict[str, ir.Value] = {}
        self.nodes: dict[str, ir.Node] = {}  # by output value, in execution order
        self.origin: dict[str, OpNode] = {}  # the ONNX node that made a value
        self.made: dict[Hashable, Stored | Pending] = {}  # what equal quantisers share
        self.gates: dict[Hashable, Stored] = {}
        self.concats: dict[tuple[str, ...], Stored] = {}  # by the maps joined
        self.linears: dict[str, Linear] = {}  # a dense layer's value -> its accumulator
        self.convolutions: dict[str, Linear] = {}  # the same of maps
        self.rounding: dict[str, ir.BiasRounding] = {}  # by layer

    def term(self, name: str) -> Term:
        """The term of a tensor."""
        if name in self.net.constants:
            return Const(array=self.net.constants[name])
        if name not in self.terms:
            maker = next(node for node in self.net.nodes if name in node.outputs)
            raise maker.error(
                f"its output '{name}' is read", f"only its first output, '{maker.output}', is made"
            )
        return self.terms[name]

    def constant(self, node: OpNode, index: int, what: str) -> Array | None:
        """Input `index` of a node as an array, None if absent."""
        name = node.optional_input(index)
        if not name:
            return None
        if name not in self.net.constants:
            raise node.error(f"its {what} is not a constant")
        return self.net.constants[name]

    def map_shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor without the batch dimension."""
        return tuple(self.net.shapes[name])[1:]

    def add_value(self, node: OpNode, value: ir.Value) -> Stored:
        """Register a value made by `node`."""
        self.values[value.name] = value
        self.origin[value.name] = node
        return Stored(value=value.name)

    def add_node(
        self, node: OpNode, item: ir.Node, signed: bool, scale: float, zero: int = 0
    ) -> Stored:
        """Register a graph node and the value it writes; `node` is its ONNX quantiser."""
        self.nodes[item.output] = item
        shape = self._output_shape(item)
        value = ir.Value(name=item.output, shape=shape, signed=signed, scale=scale, zero_point=zero)
        return self.add_value(node, value)

    def _output_shape(self, item: ir.Node) -> tuple[int, ...]:
        if isinstance(item, ir.Pool):
            return (self.values[item.input].shape[0],)
        if isinstance(item, ir.MapPool):
            channels, *sides = self.values[item.input].shape
            return (channels, *item.out_size(*sides))
        if isinstance(item, ir.Frame):
            channels = len(item.channels) or self.values[item.input].shape[0]
            return (channels, item.height, item.width)
        if isinstance(item, ir.Interleave):
            return (item.channels, item.height, item.width)
        if isinstance(item, ir.Lookup):
            return self.values[item.input].shape
        if isinstance(item, ir.Concat):
            shapes = [self.values[name].shape for name in item.inputs]
            return (sum(shape[0] for shape in shapes), *shapes[0][1:])
        if isinstance(item, ir.Conv):
            _, height, width = self.values[item.input].shape
            if item.pixels > 1:
                return (len(item.bias), 1, 1)
            return (len(item.bias), ceil_div(height, item.stride), ceil_div(width, item.stride))
        return (len(item.bias),)

    def integer_range(self, value: str) -> tuple[int, int]:
        """Least and greatest integer a value can hold."""
        item = self.nodes.get(value)
        if isinstance(item, ir.Conv | ir.MapPool | ir.Dense):
            return item.clamp
        if isinstance(item, ir.Frame):
            low, high = self.integer_range(item.input)
            whole = item.whole(self.values[item.input].shape[1:])  # type: ignore[arg-type]
            return (low, high) if whole else (min(low, item.fill), max(high, item.fill))
        if isinstance(item, ir.Interleave):
            return self.integer_range(item.input)
        if isinstance(item, ir.Concat):
            lows, highs = zip(*map(self.integer_range, item.inputs), strict=True)
            return min(lows), max(highs)
        if isinstance(item, ir.Gate):
            return 0, numerics.SCORE_ONE
        if isinstance(item, ir.Lookup):
            reached = item.entries[self.bytes_of(item.input)]
            return int(reached.min()), int(reached.max())
        return numerics.type_range(self.values[value].signed)

    def is_vector(self, value: str) -> bool:
        """Whether an average or a dense layer makes a value, or a function of such a one."""
        item = self.nodes.get(value)
        if isinstance(item, ir.Lookup):
            return self.is_vector(item.input)
        return isinstance(item, ir.Pool | ir.Dense)

    def bytes_of(self, value: str) -> Array:
        """The bytes that an element of a value can be."""
        low, high = self.integer_range(value)
        return np.arange(low, high + 1) & 0xFF

    def requantize(self, node: OpNode, real: Array) -> ir.Requantize:
        """Fixed-point multipliers for real factors, one an output channel."""
        try:
            multiplier, shift = numerics.quantize_multipliers(np.asarray(real, dtype=np.float64))
        except ValueError as error:
            raise node.error(f"cannot be requantised: {error}", "check its scales") from None
        return ir.Requantize(multiplier=multiplier, shift=shift)

    def note_rounding(self, node: OpNode, error: Array, finer: Array) -> None:
        """Keep how far the biases of a layer are off, in steps of its result, and for how many
        channels a finer accumulator was taken."""
        self.rounding[node.label] = ir.BiasRounding(
            layer=node.label,
            error=float(error.max(initial=0.0)),
            finer_channels=int((finer > 1).sum()),
        )

    def narrow(
        self, node: OpNode, value: str, bounds: tuple[int, int], signed: bool, output: str
    ) -> Stored:
        """`value` clamped to integer bounds and retyped, as value `output`.

        The layer that makes `value` gets a tighter clamp; the old value dies if unused.
        """
        low, high = self.integer_range(value)
        if self.values[value].signed == signed and bounds[0] <= low and high <= bounds[1]:
            return Stored(value=value)
        item = self.nodes.get(value)
        if isinstance(item, ir.Frame | ir.Interleave) or (
            isinstance(item, ir.MapPool) and item.average is None
        ):
            return self._narrow_before(node, item, bounds, signed, output)
        if isinstance(item, ir.Lookup) and bounds[0] <= bounds[1]:
            return self._narrow_table(node, item, bounds, output)
        clamp = (max(low, bounds[0]), min(high, bounds[1]))
        if not isinstance(item, ir.Conv | ir.Dense) or clamp[0] > clamp[1]:
            raise node.error(
                f"'{value}' cannot be clipped to {bounds[0]}..{bounds[1]} here",
                "put the activation before the quantiser of the layer that makes it",
            )
        item = dataclasses.replace(item, clamp=clamp, output=output)
        known = self.values[value]
        if value in self.linears:
            self.linears[output] = self.linears[value]
        return self.add_node(node, item, signed, known.scale, known.zero_point)

    def _narrow_table(
        self, node: OpNode, item: ir.Lookup, bounds: tuple[int, int], output: str
    ) -> Stored:
        """A table's result clipped; its type is that of what it reads and stays."""
        known = self.values[item.output]
        made = dataclasses.replace(item, output=output, entries=np.clip(item.entries, *bounds))
        return self.add_node(node, made, known.signed, known.scale, known.zero_point)

    def _narrow_before(
        self,
        node: OpNode,
        item: ir.Frame | ir.Interleave | ir.MapPool,
        bounds: tuple[int, int],
        signed: bool,
        output: str,
    ) -> Stored:
        """What is clipped after it is moved, or after a maximum, clipped before: the same."""
        known = self.nodes.get(output)
        if isinstance(known, ir.Frame | ir.Interleave | ir.MapPool):
            return Stored(value=output)
        inner = self.narrow(node, item.input, bounds, signed, self.fresh(f"{output}.clipped"))
        value, (low, high) = self.values[inner.value], self.integer_range(inner.value)
        if isinstance(item, ir.MapPool):
            clamped = dataclasses.replace(item, input=inner.value, output=output, clamp=(low, high))
            return self.add_node(node, clamped, value.signed, value.scale, value.zero_point)
        if isinstance(item, ir.Interleave):
            alike = dataclasses.replace(item, input=inner.value, output=output)
            return self.add_node(node, alike, value.signed, value.scale, value.zero_point)
        fill = min(max(item.fill, bounds[0]), bounds[1])
        moved = dataclasses.replace(item, input=inner.value, output=output, fill=fill)
        return self.add_node(node, moved, value.signed, value.scale, value.zero_point)

"""The quantised graph while it grows: nodes, modules, and where values are stored."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from penstock.model.quantize.layers import GateScore, Kind
from penstock.model.quantize.quantizers import ActivationQuantizer
from penstock.model.quantize.values import Grid, Group, Value
from penstock.model.trace.nodes import shape_of


def scale_path(label: str) -> str:
    """Where the quantiser of what a layer puts out is."""
    return f"scales.{label.replace('.', '_')}"


class Builder:
    """Nodes of the new graph; layers keep the paths that they have in the old one.

    Scales are known by their groups until `finish`, which makes a quantiser for each: `scales.X`
    is that of what layer X puts out, of all that share it the first.
    """

    def __init__(self, source: fx.GraphModule) -> None:
        self.source = source
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}
        self.scored: dict[str, str] = {}  # path of a score -> the old graph's node it stands for
        self.values: dict[fx.Node, Value] = {}  # of the old graph's nodes
        self._stored: dict[fx.Node, Value] = {}  # of accumulators, by their nodes
        self._pooled: dict[fx.Node, Value] = {}  # averages of stored maps, by their nodes
        self._quantized: list[tuple[fx.Node, Grid, str]] = []
        self._scales: list[tuple[fx.Node, Grid]] = []
        self.now: fx.Node | None = None  # the node of the old graph that is being taken over

    # -- nodes ---------------------------------------------------------------------------------

    def call(self, function: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """A function's node, with the shape of the node that is being taken over."""
        return self._kept(self.graph.call_function(function, args, kwargs))

    def method(self, name: str, *args: Any, **kwargs: Any) -> fx.Node:
        """A method's node."""
        return self._kept(self.graph.call_method(name, args, kwargs))

    def module(self, name: str, module: nn.Module, *args: Any, **kwargs: Any) -> fx.Node:
        """A new module's node."""
        name = self._fresh(name)
        self.modules[name] = module
        return self._kept(self.graph.call_module(name, args, kwargs))

    def layer(self, name: str, module: nn.Module, x: Value) -> Value:
        """What a layer makes of a stored value, whose scale it is told."""
        assert x.grid is not None
        scale = self.graph.create_node("get_attr", "scale")
        self._scales.append((scale, x.grid))
        node = self.module(name, module, x.node, scale)
        return Value(node=node, place="accumulator", label=str(node.target))

    def score(self, kind: Kind, z: Value) -> Value:
        """The score of a pre-activation."""
        node = self.module(f"{z.label}_score", GateScore(kind), z.node)
        self.scored[str(node.target)] = "" if self.now is None else self.now.name
        return Value(node=node, place="score", label=z.label, negative=False)

    # -- storage -------------------------------------------------------------------------------

    def quantize(self, x: Value, grid: Grid) -> Value:
        """The value on a grid; what is on it stays as it is, bit for bit.

        Stored as soon as it is there, not where it is first needed so: maps live shorter.
        """
        with self.graph.inserting_after(x.node):
            node = self.graph.create_node("call_module", "quantizer", (x.node,))
        node.meta = dict(x.node.meta)
        self._quantized.append((node, grid, x.label))
        if x.negative:
            grid.sign.root.signed = True
        return Value(node=node, place="stored", label=x.label, grid=grid, negative=x.negative)

    def stored(self, x: Value) -> Value:
        """The value in 8 bits, on the grid it is meant for or one of its own; once."""
        if x.place != "accumulator":
            return x
        known = self._stored.get(x.node)
        if known is None:
            grid = x.grid.beside() if x.grid is not None else Grid()
            known = self._stored[x.node] = self.quantize(x, grid)
        return known

    def pooled(self, x: Value) -> Value:
        """The stored average of a stored map, [N, C, 1, 1]; once for each map."""
        known = self._pooled.get(x.node)
        if known is None:
            node = self.method("mean", x.node, dim=(2, 3), keepdim=True)
            node.meta = {"shape": (*_shape(x.node)[:2], 1, 1)}
            label = f"{x.label}.pool"
            mean = Value(node=node, place="accumulator", label=label, negative=x.negative)
            known = self._pooled[x.node] = self.stored(mean)
        return known

    # -- the end -------------------------------------------------------------------------------

    def finish(self) -> fx.GraphModule:
        """The module of the new graph: a quantiser a scale, modules under their names."""
        quantizers: dict[Group, str] = {}
        for node, grid, label in self._quantized:
            root = grid.scale.root
            if root not in quantizers:
                name = self._fresh(scale_path(label))
                quantizers[root] = name
                self.modules[name] = ActivationQuantizer()
            node.target = quantizers[root]
            node.kwargs = {"signed": grid.sign.root.signed}
        for node, grid in self._scales:
            node.target = f"{quantizers[grid.scale.root]}.scale"
        root_module = nn.Module()
        for name, module in self.modules.items():
            place(root_module, name, module)
        found = fx.GraphModule(root_module, self.graph, "QatGraph")
        found.graph.eliminate_dead_code()
        found.delete_all_unused_submodules()
        found.recompile()
        return found

    def _fresh(self, name: str) -> str:
        number, fresh = 1, name
        while fresh in self.modules:
            number, fresh = number + 1, f"{name}_{number}"
        return fresh

    def _kept(self, node: fx.Node) -> fx.Node:
        if self.now is not None:
            node.meta = {"shape": shape_of(self.now)}
        return node


def place(root: nn.Module, path: str, module: nn.Module) -> None:
    """Add a module at a path; what is missing on the way are empty modules."""
    *above, name = path.split(".")
    for part in above:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(name, module)


def _shape(node: fx.Node) -> tuple[int, ...]:
    shape: tuple[int, ...] = node.meta["shape"]
    return shape

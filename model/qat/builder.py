"""The quantised graph while it grows: nodes, modules, and where values are stored."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from penstock.model.qat.layers import GateScore, Kind
from penstock.model.qat.trace import shape_of
from penstock.model.qat.values import Grid, Group, Value
from penstock.model.quantizers import ActivationQuantizer


class Builder:
    """Nodes of the new graph; modules are named after the nodes of the old one.

    Scales are known by their groups until `finish`, which makes a quantiser for each.
    """

    def __init__(self, source: fx.GraphModule) -> None:
        self.source = source
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}
        self.values: dict[fx.Node, Value] = {}  # of the old graph's nodes
        self._stored: dict[fx.Node, Value] = {}  # of accumulators, by their nodes
        self._pooled: dict[fx.Node, Value] = {}  # averages of stored maps, by their nodes
        self._quantized: list[tuple[fx.Node, Grid]] = []
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

    def layer(self, name: str, module: nn.Module, x: Value) -> fx.Node:
        """A layer on a stored value, whose scale it is told."""
        assert x.grid is not None
        scale = self.graph.create_node("get_attr", "scale")
        self._scales.append((scale, x.grid))
        return self.module(name, module, x.node, scale)

    def score(self, name: str, kind: Kind, z: Value) -> Value:
        """The score of a pre-activation."""
        node = self.module(f"{name}_score", GateScore(kind), z.node)
        return Value(node=node, place="score", negative=False)

    # -- storage -------------------------------------------------------------------------------

    def quantize(self, x: Value, grid: Grid) -> Value:
        """The value on a grid; what is on it stays as it is, bit for bit."""
        node = self.graph.create_node("call_module", "quantizer", (x.node,))
        node.meta = dict(x.node.meta)
        self._quantized.append((node, grid))
        if x.negative:
            grid.sign.root.signed = True
        return Value(node=node, place="stored", grid=grid, negative=x.negative)

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
            mean = Value(node=node, place="accumulator", negative=x.negative)
            known = self._pooled[x.node] = self.stored(mean)
        return known

    # -- the end -------------------------------------------------------------------------------

    def finish(self) -> fx.GraphModule:
        """The module of the new graph: a quantiser a scale, modules under their names."""
        quantizers: dict[Group, str] = {}
        for node, grid in self._quantized:
            root = grid.scale.root
            if root not in quantizers:
                name = quantizers[root] = self._fresh(f"grid{len(quantizers)}")
                self.modules[name] = ActivationQuantizer()
            node.target = quantizers[root]
            node.kwargs = {"signed": grid.sign.root.signed}
        for node, grid in self._scales:
            node.target = f"{quantizers[grid.scale.root]}.scale"
        root_module = nn.Module()
        for name, module in self.modules.items():
            root_module.add_module(name, module)
        found = fx.GraphModule(root_module, self.graph, "QatGraph")
        found.graph.eliminate_dead_code()
        found.delete_all_unused_submodules()
        found.recompile()
        return found

    def _fresh(self, name: str) -> str:
        name = name.replace(".", "_")
        number, fresh = 1, name
        while fresh in self.modules:
            number, fresh = number + 1, f"{name}_{number}"
        return fresh

    def _kept(self, node: fx.Node) -> fx.Node:
        if self.now is not None:
            node.meta = {"shape": shape_of(self.now)}
        return node


def _shape(node: fx.Node) -> tuple[int, ...]:
    shape: tuple[int, ...] = node.meta["shape"]
    return shape

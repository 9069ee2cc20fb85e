"""Decisions between two logits, in any spelling, as one layer of their difference and a threshold.

ConvNet-AIG and others decide by the larger of two logits, skip and run: z1 - z0 > 0, z1 > z0,
argmax, softmax(z)[:, 1] > 1/2, a one-hot vector of the argmax, with or without a straight-through
estimator around it.  The core has one sum a score.  Only the difference decides, so a trace gets
one layer with the weights w1 - w0 in place of all that, and the layer of both is gone.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from penstock.model.gates.score import Score
from penstock.model.trace.forms import Form, Layers
from penstock.model.trace.nodes import named, shape_of
from penstock.model.trace.scores import MULTIPLIES, PASSES
from penstock.model.trace.spellings import read_form

#: Kinds of forms that a layer of differences stands for.
MADE = ("difference", "probability", "decision")
#: What is computed of each number alone, on its way to a score.
ELEMENTWISE = {"gt", "ge", "clamp", "clip", "clamp_min", "hardtanh", "relu6", "sigmoid"}
SCORES = ELEMENTWISE | {"lt", "le", "where", "neg", "rsub", "logical_not"}


def simplified(traced: fx.GraphModule) -> bool:
    """Rewrite a trace, whose nodes know their shapes, in place; whether anything was changed."""
    changed = _without_straight_through(traced.graph)
    rewrite = _Rewrite(traced)
    for node in list(traced.graph.nodes):
        changed |= rewrite.visit(node)
    if changed:
        for node in reversed(list(traced.graph.nodes)):
            if not node.users and node.op not in ("output", "placeholder"):
                traced.graph.erase_node(node)
        traced.delete_all_unused_submodules()
        traced.recompile()
    return changed


class _Rewrite:
    """The walk over a trace; what each node is as a function of logits is in `forms`."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.net, self.graph = traced, traced.graph
        self.layers = Layers(traced)
        self.forms: dict[fx.Node, Any] = {}
        for node in self.graph.nodes:
            form = read_form(self.layers, self.forms, node)
            if form is not None:
                self.forms[node] = form
        self.made: dict[tuple[tuple[int, ...], tuple[int, ...]], fx.Node] = {}
        self.decided: dict[tuple[Any, ...], fx.Node] = {}

    def visit(self, node: fx.Node) -> bool:
        """Replace a node that ends what is known of logits, if a map is multiplied with it."""
        form = self.forms.get(node)
        if not isinstance(form, Form) or form.kind not in MADE:
            return False
        readers = [reader for reader in node.users if reader not in self.forms]
        if not readers or not self._scales(node) or not self.layers.share_input(form):
            return False
        self.stands_behind = node
        if form.kind == "difference":
            return self._differences(node, form, readers)
        score = self._decision(form) if form.kind == "decision" else self._sigmoid(form)
        if score is None:
            return False
        _replace(node, self._reshaped(score, shape_of(node)), readers)
        return True

    def _differences(self, node: fx.Node, form: Form, readers: Sequence[fx.Node]) -> bool:
        """The sums of scores; where they have another shape, that comes behind the score."""
        sums, shape = self._layer(form), shape_of(node)
        for reader in readers:
            self.stands_behind = node
            if shape_of(sums) == shape or not self._is_elementwise(reader):
                _replace(node, self._reshaped(sums, shape), [reader])
                continue
            others = list(reader.users)
            reader.replace_input_with(node, sums)
            self.stands_behind = like(reader, reader, shape_of(sums))
            _replace(reader, self._reshaped(reader, shape), others)
        return True

    def _decision(self, form: Form) -> fx.Node | None:
        """1 where the first sum is greater, at a tie as the form has it; its opposite is 1 - it."""
        ties = set(form.ties.flatten().tolist())
        if len(ties) != 1:
            return None
        (tie,) = ties
        plus, minus = form.numbers
        known = self.decided.get((plus, minus, tie))
        if known is not None:
            return known
        other = self.decided.get((minus, plus, not tie))
        if other is not None:
            score = self._call(operator.sub, 1, self._number(other))
        else:
            score = self._call(operator.ge if tie else operator.gt, self._layer(form), 0)
        self.decided[plus, minus, tie] = score
        return score

    def _sigmoid(self, form: Form) -> fx.Node:
        return self._call(torch.sigmoid, self._layer(form))

    def _layer(self, form: Form) -> fx.Node:
        """The node of the layer of differences, [N, K] or [N, K, 1, 1]; one for each form."""
        known = self.made.get(form.numbers)
        if known is None:
            first, layer = self.layers.difference(form)
            name = f"{first.target}_difference"
            while any(name == path for path, _ in self.net.named_modules()):
                name += "_"
            self.net.add_submodule(name, layer)
            with self.graph.inserting_before(self.stands_behind):
                known = self.graph.call_module(name, (first.args[0],))
            batch, _, *ones = shape_of(first)
            like(known, first, (batch, len(form.numbers[0]), *ones))
            self.made[form.numbers] = known
        return known

    def _call(self, function: Any, *args: Any) -> fx.Node:
        """A node of what is computed of each number alone."""
        with self.graph.inserting_before(self.stands_behind):
            made = self.graph.call_function(function, args)
        source = next(arg for arg in args if isinstance(arg, fx.Node))
        return like(made, source, shape_of(source))

    def _number(self, decision: fx.Node) -> fx.Node:
        """0 and 1 of a comparison, which nothing can be subtracted with."""
        with self.graph.inserting_before(self.stands_behind):
            made = self.graph.call_method("float", (decision,))
        return like(made, decision, shape_of(decision))

    def _reshaped(self, x: fx.Node, shape: tuple[int, ...]) -> fx.Node:
        """A view of `x`, where it has another shape."""
        if shape_of(x) == shape:
            return x
        with self.graph.inserting_after(self.stands_behind):
            made = self.graph.call_method("reshape", (x, -1, *shape[1:]))
        return like(made, self.stands_behind, shape)

    def _scales(self, node: fx.Node) -> bool:
        """Whether a map is multiplied with a node, or with a view, score or opposite of it."""
        todo, seen = list(node.users), set()
        while todo:
            reader = todo.pop()
            if named(reader) in MULTIPLIES:
                return True
            passes = named(reader) in PASSES | SCORES or self._is_elementwise(reader)
            if passes and reader not in seen:
                seen.add(reader)
                todo += reader.users
        return False

    def _is_elementwise(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            module = self.net.get_submodule(str(node.target))
            return isinstance(module, Score | nn.Sigmoid | nn.Hardtanh)
        return named(node) in ELEMENTWISE


def like(node: fx.Node, source: fx.Node, shape: tuple[int, ...]) -> fx.Node:
    """`node` with what is known of `source`, its line of the user's code too, and that shape."""
    tensor = source.meta["tensor_meta"]._replace(shape=torch.Size(shape))
    node.meta = dict(source.meta) | {"tensor_meta": tensor}
    return node


def _replace(node: fx.Node, by: fx.Node, readers: Sequence[fx.Node]) -> None:
    for reader in readers:
        reader.replace_input_with(node, by)


def _without_straight_through(graph: fx.Graph) -> bool:
    """hard - soft + soft, one of the two detached, is hard, in whatever order it is written."""
    changed = False
    for node in graph.nodes:
        if named(node) not in ("add", "iadd", "add_"):
            continue
        hard = _hard(node)
        if hard is not None:
            node.replace_all_uses_with(hard)
            changed = True
    return changed


def _hard(node: fx.Node) -> fx.Node | None:
    """Of hard + (soft - soft'), (hard - soft') + soft or their mirror images: hard."""
    if len(node.args) != 2 or not all(isinstance(arg, fx.Node) for arg in node.args):
        return None
    for one, other in (node.args, node.args[::-1]):
        apart = _plain(one)
        if named(apart) not in ("sub", "isub", "sub_") or len(apart.args) != 2:
            continue
        first, second = apart.args
        if not isinstance(first, fx.Node) or not isinstance(second, fx.Node):
            continue
        if _plain(second) is _plain(other):
            return first
        if _plain(first) is _plain(second):
            return other  # type: ignore[return-value]
    return None


def _plain(node: Any) -> fx.Node:
    """What a node is but for its gradient and its type."""
    while named(node) == "detach":
        node = node.args[0]
    found: fx.Node = node
    return found

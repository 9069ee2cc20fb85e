"""What the values of a trace are as functions of logits: picked, subtracted, compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from penstock.model.trace.nodes import shape_of

Kind = Literal["logit", "probability", "log_probability", "difference", "margin", "decision"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """A tensor, number by number, of logits that `Layers` numbers: `plus` and `minus`, int64.

    logit: `plus`.  difference: plus - minus.  probability: of plus among both, its sigmoid;
    log_probability: that one's logarithm.  margin: of the probabilities.  decision: 1 where plus is
    greater, 0 where it is less; where they are equal `ties`, bool.

    The arrays have the tensor's shape, for one image.
    """

    kind: Kind
    plus: Tensor
    minus: Tensor
    ties: Tensor

    @property
    def numbers(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """`plus` and `minus` in a row."""
        return tuple(self.plus.flatten().tolist()), tuple(self.minus.flatten().tolist())

    def moved(self, view: Callable[[Tensor], Any]) -> Any:
        """The form of a view of the tensor; of several parts a tuple."""
        parts = [view(array) for array in (self.plus, self.minus, self.ties)]
        if isinstance(parts[0], Tensor):
            plus, minus, ties = parts
            return replace(self, plus=plus, minus=minus, ties=ties)
        return tuple(
            replace(self, plus=plus, minus=minus, ties=ties)
            for plus, minus, ties in zip(*parts, strict=True)
        )

    def opposite(self) -> Form:
        """plus and minus exchanged: -difference, 1 - probability, 1 - decision."""
        return replace(self, plus=self.minus, minus=self.plus, ties=~self.ties)

    def against(self, other: Form, kind: Kind, tie: bool = False) -> Form | None:
        """A form of both tensors' `plus`; of probabilities only if they are of one pair."""
        if self.kind != other.kind or self.plus.shape != other.plus.shape:
            return None
        if self.kind not in ("logit", "probability", "log_probability"):
            return None
        pair = torch.equal(self.plus, other.minus) and torch.equal(self.minus, other.plus)
        if self.kind != "logit" and not pair:
            return None
        ties = torch.full_like(self.ties, tie)
        return Form(kind=kind, plus=self.plus, minus=other.plus, ties=ties)


class Layers:
    """The layers of a trace whose outputs may be logits of gates; all outputs are numbered."""

    def __init__(self, net: fx.GraphModule) -> None:
        self.net = net
        self.outputs: list[tuple[fx.Node, int]] = []

    def module(self, node: fx.Node) -> nn.Module | None:
        """Of a node that calls one."""
        return self.net.get_submodule(str(node.target)) if node.op == "call_module" else None

    def logits(self, node: fx.Node) -> Form | None:
        """The form of a dense layer's outputs, or of a 1x1 convolution's on an average."""
        shape, module = shape_of(node), self.module(node)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            source = node.args[0]
            return self.logits(source) if self._behind(module, source) else None  # type: ignore[arg-type]
        dense = isinstance(module, nn.Linear) and len(shape) == 2
        point = isinstance(module, nn.Conv2d) and module.groups == 1 and shape[2:] == (1, 1)
        if not dense and not (point and module.kernel_size == (1, 1)):  # type: ignore[union-attr]
            return None
        first = len(self.outputs)
        self.outputs += [(node, index) for index in range(shape[1])]
        plus = torch.arange(first, len(self.outputs)).reshape(1, *shape[1:])
        return Form(kind="logit", plus=plus, minus=plus, ties=torch.zeros_like(plus).bool())

    def _behind(self, norm: nn.Module, source: Any) -> bool:
        """Whether a batch norm is the only reader of a layer of its kind."""
        if not isinstance(source, fx.Node) or len(source.users) != 1:
            return False
        layer = nn.Linear if isinstance(norm, nn.BatchNorm1d) else nn.Conv2d
        return isinstance(self.module(source), layer)

    def share_input(self, form: Form) -> bool:
        """Whether all logits of a form are of layers of one kind that read one vector."""
        nodes = {self.outputs[number][0] for numbers in form.numbers for number in numbers}
        kinds = {isinstance(self.module(node), nn.Linear) for node in nodes}
        return len({node.args[0] for node in nodes}) == len(kinds) == 1

    def difference(self, form: Form) -> tuple[fx.Node, nn.Module]:
        """A layer of the differences plus - minus, and the first node of those it stands for."""
        rows = [[self.outputs[number] for number in numbers] for numbers in form.numbers]
        folded = {node: self._folded(node) for row in rows for node, _ in row}
        plus, minus = (
            [torch.stack([getattr(folded[node], part)[i] for node, i in row]) for part in PARTS]
            for row in rows
        )
        weight, bias = (a.detach() - b.detach() for a, b in zip(plus, minus, strict=True))
        first = next(iter(folded))
        return first, _layer(folded[first], weight, bias).train(folded[first].training)

    def _folded(self, node: fx.Node) -> Any:
        """The layer of a node with a bias, and the batch norm behind it folded in."""
        layer: Any = self.module(node)
        reader = next(iter(node.users))
        norm: Any = self.module(reader)
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) and self._behind(norm, node):
            dense = isinstance(layer, nn.Linear)
            return fuse_linear_bn_eval(layer, norm) if dense else fuse_conv_bn_eval(layer, norm)
        if layer.bias is None:
            return _layer(layer, layer.weight, layer.weight.new_zeros(len(layer.weight)))
        return layer


PARTS = ("weight", "bias")


def _layer(like: Any, weight: Tensor, bias: Tensor) -> Any:
    """A dense layer or a 1x1 convolution with these numbers."""
    outputs, inputs = weight.shape[:2]
    where: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
    if isinstance(like, nn.Linear):
        made: Any = nn.Linear(inputs, outputs, **where)
    else:
        made = nn.Conv2d(inputs, outputs, 1, **where)
    made.weight, made.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
    return made

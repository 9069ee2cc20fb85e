"""The operators that gates make decisions of two logits with, one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from penstock.model.trace.forms import Form, Layers
from penstock.model.trace.nodes import named, shape_of

#: What is known of earlier nodes: a form, several of a node that gives several tensors.
Known = Mapping[fx.Node, Any]
Read = Callable[[Known, fx.Node], Any]
SAME = (nn.Dropout, nn.Identity)
RESHAPES = (nn.Flatten, nn.Unflatten)
HALF = 0.5


def read_form(layers: Layers, known: Known, node: fx.Node) -> Any:
    """What a node's tensor is as a function of logits; None: nothing that is known here."""
    module = layers.module(node)
    if isinstance(module, SAME):
        return _checked(node, known.get(node.args[0]))  # type: ignore[arg-type]
    if isinstance(module, nn.Softmax | nn.LogSoftmax):
        kind = "probability" if isinstance(module, nn.Softmax) else "log_probability"
        return _checked(node, _softmax(known, node.args[0], module.dim, kind))
    if isinstance(module, RESHAPES):
        return _checked(node, _reshape(known, node))
    if module is not None:
        return layers.logits(node)
    read = READ.get(named(node))
    return None if read is None or not node.args else _checked(node, read(known, node))


def _checked(node: fx.Node, form: Any) -> Any:
    """A form if it has the shape of the node's tensor: batches are left alone."""
    if not isinstance(form, Form):
        return form
    shape = shape_of(node)
    if len(form.plus) != 1 or not shape or shape[1:] != tuple(form.plus.shape[1:]):
        return None
    numbers = form.kind == "decision" or node.meta["tensor_meta"].dtype.is_floating_point
    return form if numbers else None


def _form(known: Known, node: fx.Node, place: int = 0) -> Form | None:
    """The form of a node's operand."""
    given = node.args[place] if len(node.args) > place else None
    found = known.get(given) if isinstance(given, fx.Node) else None
    return found if isinstance(found, Form) else None


def _setting(node: fx.Node, name: str, place: int, default: Any = None) -> Any:
    """An argument by its name or its place."""
    return node.kwargs.get(name, node.args[place] if len(node.args) > place else default)


def _two(node: fx.Node) -> tuple[Any, Any]:
    """Both operands."""
    return node.args[0], _setting(node, "other", 1)


def _same(known: Known, node: fx.Node) -> Form | None:
    return _form(known, node)


def _reshape(known: Known, node: fx.Node) -> Form | None:
    form, shape = _form(known, node), shape_of(node)
    fits = form is not None and form.plus[0].numel() == torch.Size(shape[1:]).numel()
    return form.moved(lambda array: array.reshape(1, *shape[1:])) if fits and shape else None  # type: ignore[union-attr]


def _taken(known: Known, node: fx.Node) -> Any:
    """select, narrow, chunk, split, unbind, as torch has them."""
    form, function = _form(known, node), getattr(torch, named(node))
    if form is None or len(node.all_input_nodes) != 1:
        return None
    return form.moved(lambda array: function(array, *node.args[1:], **node.kwargs))


def _item(known: Known, node: fx.Node) -> Any:
    """Of a tensor by an index that leaves the batch alone; one of several tensors."""
    source, index = node.args
    several = known.get(source) if isinstance(source, fx.Node) else None
    if isinstance(several, tuple):
        return several[index] if isinstance(index, int) and index < len(several) else None
    first = index[0] if isinstance(index, tuple) and index else None
    if not isinstance(several, Form) or not (first is ... or first == slice(None)):
        return None
    if len(node.all_input_nodes) != 1:  # an index that is computed
        return None
    return several.moved(lambda array: array[index])


def _indices(known: Known, node: fx.Node) -> Form | None:
    """torch.max(...).indices."""
    several = known.get(node.args[0])  # type: ignore[arg-type]
    wanted = node.args[1] == "indices" and isinstance(several, tuple)
    return several[1] if wanted else None  # type: ignore[index]


def _sub(known: Known, node: fx.Node) -> Form | None:
    """Of two logits or probabilities; 1 - probability, 1 - decision."""
    a, b = _two(node) if named(node) != "rsub" else _two(node)[::-1]
    if "alpha" in node.kwargs:
        return None
    one, other = (known.get(x) if isinstance(x, fx.Node) else None for x in (a, b))
    if isinstance(other, Form) and a == 1 and other.kind in ("probability", "decision"):
        return other.opposite()
    if not isinstance(one, Form) or not isinstance(other, Form):
        return None
    return one.against(other, "margin" if one.kind == "probability" else "difference")


def _neg(known: Known, node: fx.Node) -> Form | None:
    form = _form(known, node)
    return form.opposite() if form is not None and form.kind in ("difference", "margin") else None


def _not(known: Known, node: fx.Node) -> Form | None:
    form = _form(known, node)
    return form.opposite() if form is not None and form.kind == "decision" else None


def _sigmoid(known: Known, node: fx.Node) -> Form | None:
    form = _form(known, node)
    return replace(form, kind="probability") if form and form.kind == "difference" else None


def _diff(known: Known, node: fx.Node) -> Form | None:
    """torch.diff over an axis of two: the second less the first."""
    form = _form(known, node)
    plain = len(node.args) == 1 and not node.kwargs.keys() - {"dim"}
    pair = _pair(form, node.kwargs.get("dim", -1), keep=True) if plain else None
    return pair[1].against(pair[0], "difference") if pair is not None else None


def _pair(form: Form | None, axis: Any, keep: bool) -> tuple[Form, Form] | None:
    """Both halves of an axis of two numbers; None of any other, or of the batch's."""
    if form is None or not isinstance(axis, int) or not -form.plus.dim() <= axis < form.plus.dim():
        return None
    if axis % form.plus.dim() == 0 or form.plus.shape[axis] != 2:
        return None
    first, second = form.moved(lambda array: array.split(1, dim=axis))
    if keep:
        return first, second
    return first.moved(lambda array: array.squeeze(axis)), second.moved(
        lambda array: array.squeeze(axis)
    )


def _softmax(known: Known, source: Any, axis: Any, kind: Any) -> Form | None:
    form = known.get(source)
    pair = _pair(form, axis, keep=True) if isinstance(form, Form) else None
    if pair is None or pair[0].kind != "logit":
        return None
    both = pair[0].against(pair[1], kind), pair[1].against(pair[0], kind)
    return _joined([part for part in both if part is not None], axis)


def _joined(parts: list[Form], axis: int) -> Form:
    plus, minus, ties = (
        torch.cat([getattr(part, name) for part in parts], dim=axis)
        for name in ("plus", "minus", "ties")
    )
    return replace(parts[0], plus=plus, minus=minus, ties=ties)


def _softmax_function(known: Known, node: fx.Node) -> Form | None:
    kind = "probability" if named(node) == "softmax" else "log_probability"
    return _softmax(known, node.args[0], _setting(node, "dim", 1), kind)


def _argmax(known: Known, node: fx.Node) -> Form | None:
    """The place of the larger (argmin: less) of two; at a tie the first."""
    pair = _pair(_form(known, node), _setting(node, "dim", 1), _setting(node, "keepdim", 2, False))
    if pair is None:
        return None
    first, second = pair if named(node) != "argmin" else pair[::-1]
    return second.against(first, "decision")


def _max(known: Known, node: fx.Node) -> Any:
    place = _argmax(known, node)
    return None if place is None else (None, place)


def _compare(known: Known, node: fx.Node) -> Form | None:
    """>, >=, < and <= of two logits, of a probability with 1/2, of a difference with 0."""
    name, (a, b) = named(node), _two(node)
    one, other = (known.get(x) if isinstance(x, fx.Node) else None for x in (a, b))
    if name in ("lt", "le", "less", "less_equal"):
        one, other, a, b = other, one, b, a
    tie = name in ("ge", "le", "greater_equal", "less_equal")
    if isinstance(one, Form) and isinstance(other, Form):
        return one.against(other, "decision", tie)
    form, constant, swapped = (one, b, False) if isinstance(one, Form) else (other, a, True)
    if not isinstance(form, Form) or isinstance(constant, fx.Node):
        return None
    if form.kind == "decision":
        # form > constant, or constant > form: what 0 and 1 give
        found = [_above(constant, x, tie) if swapped else _above(x, constant, tie) for x in (0, 1)]
        as_it_is, opposite = found == [False, True], found == [True, False]
        return form if as_it_is else form.opposite() if opposite else None
    at = {"probability": HALF, "margin": 0, "difference": 0}.get(form.kind)
    if at is None or constant != at:
        return None
    form = form.opposite() if swapped else form
    return replace(form, kind="decision", ties=torch.full_like(form.ties, tie))


def _above(a: Any, b: Any, tie: bool) -> bool:
    return bool(a >= b if tie else a > b)


def _equal(known: Known, node: fx.Node) -> Form | None:
    """decision == 0, == 1, != 0, != 1."""
    form, (_, constant) = _form(known, node), _two(node)
    if form is None or form.kind != "decision" or constant not in (0, 1):
        return None
    return form if (constant == 1) == (named(node) == "eq") else form.opposite()


def _where(known: Known, node: fx.Node) -> Form | None:
    """1 and 0 by a decision."""
    form = _form(known, node)
    if form is None or form.kind != "decision" or len(node.args) != 3:
        return None
    return {(1, 0): form, (0, 1): form.opposite()}.get(node.args[1:])  # type: ignore[call-overload, no-any-return]


def _round(known: Known, node: fx.Node) -> Form | None:
    """Of a probability; a half is rounded to 0, the even one."""
    form = _form(known, node)
    if form is None or form.kind != "probability" or len(node.args) > 1 or node.kwargs:
        return None
    return replace(form, kind="decision", ties=torch.zeros_like(form.ties))


def _one_hot(known: Known, node: fx.Node) -> Form | None:
    form = _form(known, node)
    if form is None or form.kind != "decision" or _setting(node, "num_classes", 1) != 2:
        return None
    wide = form.moved(lambda array: array[..., None])
    return _joined([wide.opposite(), wide], -1)


def _scatter(known: Known, node: fx.Node) -> Form | None:
    """Ones where a decision points to, in zeros."""
    zeros, axis = node.args[0], _setting(node, "dim", 1)
    index, value = _setting(node, "index", 2), _setting(node, "value", 3, node.kwargs.get("src"))
    form = known.get(index) if isinstance(index, fx.Node) else None
    empty = isinstance(zeros, fx.Node) and named(zeros) in ("zeros_like", "zeros", "new_zeros")
    if not empty or value != 1 or not isinstance(form, Form) or form.kind != "decision":
        return None
    if not isinstance(axis, int) or axis == 0 or form.plus.shape[axis] != 1:
        return None
    return _joined([form.opposite(), form], axis)


def _cat(known: Known, node: fx.Node) -> Form | None:
    """Logits, or decisions, side by side; stacked."""
    given, axis = node.args[0], _setting(node, "dim", 1, 0)
    parts = [known.get(part) for part in given] if isinstance(given, (list, tuple)) else []  # type: ignore[arg-type]
    forms = [part for part in parts if isinstance(part, Form)]
    if not forms or len(forms) != len(parts) or len({form.kind for form in forms}) != 1:
        return None
    if named(node) == "stack":
        forms = [form.moved(lambda array: array.unsqueeze(axis)) for form in forms]
    return _joined(forms, axis)


READ: dict[str, Read] = {
    **dict.fromkeys(("contiguous", "clone", "detach", "dropout"), _same),
    **dict.fromkeys(("float", "double", "half", "long", "int", "bool", "to", "type_as"), _same),
    **dict.fromkeys(("reshape", "view", "flatten", "squeeze", "unsqueeze"), _reshape),
    **dict.fromkeys(("select", "narrow", "chunk", "split", "unbind", "tensor_split"), _taken),
    "getitem": _item,
    "getattr": _indices,
    **dict.fromkeys(("sub", "isub", "rsub"), _sub),
    "neg": _neg,
    **dict.fromkeys(("logical_not", "invert", "bitwise_not"), _not),
    "sigmoid": _sigmoid,
    "diff": _diff,
    **dict.fromkeys(("softmax", "log_softmax"), _softmax_function),
    **dict.fromkeys(("argmax", "argmin"), _argmax),
    "max": _max,
    **dict.fromkeys(("gt", "ge", "lt", "le"), _compare),
    **dict.fromkeys(("greater", "greater_equal", "less", "less_equal"), _compare),
    **dict.fromkeys(("eq", "ne"), _equal),
    "where": _where,
    "round": _round,
    "one_hot": _one_hot,
    **dict.fromkeys(("scatter", "scatter_"), _scatter),
    **dict.fromkeys(("cat", "concat", "stack"), _cat),
}

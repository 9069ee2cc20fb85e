"""Shapes of terms against ONNX's own shape inference, for the batch of one that is inferred."""

import math

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import (
    Binary,
    Const,
    Function,
    Image,
    Joined,
    Linear,
    Logistic,
    Loose,
    Mean,
    Pending,
    QuantConst,
    Signum,
    Stored,
    Sum,
    Term,
    Window,
)
from penstock.program.base.arith import ceil_div


def check_term(builder: Builder, node: OpNode, name: str, term: Term) -> None:
    """CompileError unless what lowering made of tensor `name` has the shape that ONNX infers, and
    weights of an accumulator as many inputs as its input has channels.

    A map is 1 x C x H x W.  A vector, or a map of one pixel, may lie along any axis: readers ask
    where (`check_vector`, `check_pixel`).
    """
    inner = term.binary if isinstance(term, Signum) else term
    inner = inner.linear if isinstance(inner, Logistic | Binary) else inner
    if isinstance(inner, Linear):
        _check_inputs(builder, inner)
    expected, shape = tuple(builder.net.shapes[name]), shape_of(builder, term)
    if isinstance(term, Const | QuantConst):
        same = shape == expected
    elif len(shape) == 1 or shape[1:] == (1, 1):
        same = max(expected, default=1) == math.prod(expected) == shape[0]
    else:
        same = (1, *shape) == expected
    if not same:
        raise node.error(
            f"makes '{name}' of shape {expected}, the core would make {shape} of it",
            "maps are N x C x H x W, vectors have one dimension beside the batch",
        )


def check_vector(builder: Builder, node: OpNode, index: int, axis: int) -> None:
    """CompileError unless input `index`, a vector, lies along `axis` of its tensor."""
    shape = builder.net.shapes[node.inputs[index]]
    if not -len(shape) <= axis < len(shape) or shape[axis] != math.prod(shape):
        where = "the last axis" if axis == -1 else f"axis {axis}"
        raise node.error(
            f"its input has shape {tuple(shape)}, a vector along {where} is expected",
            "flatten the pooled vector to N x C before it",
        )


def _check_inputs(builder: Builder, linear: Linear) -> None:
    channels, inputs = builder.values[linear.input].shape[0], linear.weight.shape[1]
    channels *= linear.pixels
    if inputs * linear.groups != channels:
        raise linear.node.error(
            f"its weight has {inputs * linear.groups} inputs, '{linear.input}' has {channels} "
            "channels",
            "export the network again",
        )


def shape_of(builder: Builder, term: Term) -> tuple[int, ...]:
    """Shape of a term without the batch; that of a constant is whole."""
    match term:
        case Image():
            return builder.map_shape(term.name)
        case Const():
            return tuple(term.array.shape)
        case QuantConst():
            return tuple(term.integers.shape)
        case Stored() | Pending() | Function():
            return builder.values[term.value].shape
        case Mean():
            return builder.values[term.value].shape[:1]
        case Window():
            return builder.values[term.value].shape[:1] + builder.map_shape(term.node.output)[1:]
        case Linear(dense=True):
            return (len(term.bias),)
        case Linear() if term.pixels > 1:
            return (len(term.bias), 1, 1)
        case Linear() if term.part is not None:
            return (len(term.bias), term.part.height, term.part.width)
        case Linear():
            sides = builder.values[term.input].shape[1:]
            return (len(term.bias), *(ceil_div(side, term.stride) for side in sides))
        case Sum():
            return shape_of(builder, term.left)
        case Loose():
            return shape_of(builder, term.source)
        case Joined():
            shapes = [shape_of(builder, part) for _, part in term.parts]
            return (sum(shape[0] for shape in shapes), *shapes[0][1:])
        case Logistic() | Binary():
            return shape_of(builder, term.linear)
        case Signum():
            return shape_of(builder, term.binary)

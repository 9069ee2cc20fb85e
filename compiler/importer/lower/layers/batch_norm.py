"""BatchNormalization behind a quantised convolution or dense layer: its accumulator's scale."""

import dataclasses

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import Array, OpNode
from penstock.compiler.importer.terms import INF, Linear, Term

HINT = "fold it before quantising, or put it behind a convolution whose result nothing else reads"
PARAMETERS = ("scale", "bias", "mean", "variance")
EPSILON = 1e-5


def lower_batch_norm(builder: Builder, node: OpNode) -> Term:
    """The accumulator in other steps, one a channel, its constants moved: nothing is rounded.

    Quantisers of weights before it stay as they are: training with fake quantisers often leaves
    the normalisation behind the convolution.

    Raises:
        CompileError: it is behind anything else, or would need a weight of 128.
    """
    term = builder.term(node.inputs[0])
    if not isinstance(term, Linear) or term.score is not None or node.attrs.get("training_mode"):
        raise node.error("a batch normalisation in a quantised network", HINT)
    if (term.low, term.high) != (-INF, INF):
        raise node.error("a batch normalisation behind an activation", HINT)
    gamma, beta, mean, variance = (
        _parameter(builder, node, index, what) for index, what in enumerate(PARAMETERS, 1)
    )
    with np.errstate(all="ignore"):
        factor = gamma / np.sqrt(variance + node.attrs.get("epsilon", EPSILON))
    if not np.isfinite(factor).all():
        raise node.error("its variance is negative, or a number of it is not finite")
    sign = np.sign(factor).astype(np.int64)
    weight = term.weight.astype(np.int64) * sign.reshape(-1, *[1] * (term.weight.ndim - 1))
    if weight.max(initial=0) > np.iinfo(np.int8).max:
        raise node.error("turns a weight of -128 round", "quantise weights to -127 .. 127")
    return dataclasses.replace(
        term,
        weight=weight.astype(np.int8),
        bias=term.bias * sign,
        offset=term.offset * factor + beta - mean * factor,
        scale=np.where(factor == 0, term.scale, term.scale * np.abs(factor)),
    )


def _parameter(builder: Builder, node: OpNode, index: int, what: str) -> Array:
    array = builder.constant(node, index, what)
    if array is None:
        raise node.error(f"has no {what}")
    return array.astype(np.float64)

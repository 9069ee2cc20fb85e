"""How far one layer may be from onnxruntime on the same integers: rounding, and nothing else."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from penstock.compiler import ir
from penstock.compiler.check.result import TOLERANCE
from penstock.compiler.check.ties import near_threshold
from penstock.compiler.interpreter import compute
from penstock.compiler.ir import IntArray
from penstock.compiler.numerics import SCORE_ONE

#: Of a sigmoid's score: a step of its input, 1/16, is two of the score where it is steepest.
SIGMOID_TOLERANCE = 2
#: A clamp that no sum reaches.
WIDE = 1 << 60


def allowed_steps(
    node: ir.Node,
    values: Mapping[str, IntArray],
    rounded: frozenset[str],
    tie: IntArray | None = None,
) -> IntArray | int:
    """Steps, one number or one for each value of `node`'s output.

    Args:
        values: what the layer reads.
        rounded: scores that the file does not quantise.  onnxruntime multiplies by the score
            itself, the core by its nearest 1/128.
        tie: of a binary gate, where the file's comparison is too close to call, if that is known.
    """
    if isinstance(node, ir.Gate) and node.binary:
        return np.where(near_threshold(node, values) if tie is None else tie, SCORE_ONE, 0)
    if isinstance(node, ir.Gate) and not node.decides:
        return SIGMOID_TOLERANCE
    if isinstance(node, ir.Conv) and node.fold is not None and node.fold.scores in rounded:
        return TOLERANCE + np.ceil(_before_the_score(node, values) / (2 * SCORE_ONE))
    return TOLERANCE


def _before_the_score(node: ir.Conv, values: Mapping[str, IntArray]) -> IntArray:
    """Magnitudes of a convolution without its score, in steps of its output, not clamped."""
    bare = dataclasses.replace(
        node, fold=None, residual=None, saturate_before_add=False, clamp=(-WIDE, WIDE)
    )
    return np.abs(compute(bare, values, signed=True)).astype(np.float64)

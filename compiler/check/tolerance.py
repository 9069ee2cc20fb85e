"""How far one layer may be from onnxruntime on the same integers: rounding, and nothing else."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.compiler import ir
from penstock.compiler.check.result import TOLERANCE
from penstock.compiler.check.ties import near_threshold
from penstock.compiler.interpreter import compute
from penstock.compiler.ir import IntArray
from penstock.compiler.numerics import SCORE_ONE

Steps = npt.NDArray[Any] | float

#: Of a sigmoid's score: a step of its input, 1/16, is two of the score where it is steepest.
SIGMOID_TOLERANCE = 2
#: Of logits of 16 bits: a multiplier of 16 bits is half a step off at the greatest ones, and the
#: bias up to a quarter.
WIDE_TOLERANCE = 2
#: What onnxruntime's functions of float32 numbers may be off: a unit of 1's last place.
FUNCTION_ERROR = 2.0**-23
#: Steps from a rounding tie within which a float32 average and a 16-bit multiplier may part.
TIE = 2.0**-7
#: A clamp that no sum reaches.
WIDE = 1 << 60


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What the layers of a network are compared with, as far as it is known.

    Attributes:
        slack: values that the file has no tensor for -> steps they may be off themselves.
        rounded: scores that the file does not quantise.  onnxruntime multiplies by the score
            itself, the core by its nearest 1/128.
        wide: logits of 16 bits.
        functions: values by table -> steps that float32 numbers may be off there.
        ties: binary gates -> where the file's comparison is too close to call, (N, n) bool.
    """

    slack: Mapping[str, Steps]
    rounded: frozenset[str]
    wide: frozenset[str]
    functions: Mapping[str, float]
    ties: Mapping[str, IntArray]


def allowed_steps(node: ir.Node, values: Mapping[str, IntArray], known: Known) -> Steps:
    """Steps, one number or one for each value of `node`'s output; `values`: what it reads."""
    match node:
        case ir.Concat():
            return max((_largest(known.slack.get(name, 0.0)) for name in node.inputs), default=0.0)
        case ir.Frame() | ir.Interleave():
            return _largest(known.slack.get(node.input, 0.0))
        case ir.Lookup():
            own = TOLERANCE + known.functions[node.output]
            return own + _steepest(node, values) * _largest(known.slack.get(node.input, 0.0))
        case ir.Pool() | ir.MapPool():
            return TOLERANCE + _largest(known.slack.get(node.input, 0.0))
        case ir.Gate() if node.binary:
            unsure = _gain(node, known.slack.get(node.input, 0.0), raw=True)
            tie = known.ties.get(node.output)
            if tie is None or np.any(unsure):
                tie = near_threshold(node, values, unsure)
            return np.where(tie, SCORE_ONE, 0)
        case ir.Gate():
            own = TOLERANCE if node.decides else SIGMOID_TOLERANCE
            share = 1.0 if node.decides else SIGMOID_TOLERANCE
            return own + share * _gain(node, known.slack.get(node.input, 0.0))
        case ir.Dense():
            own = WIDE_TOLERANCE if node.output in known.wide else TOLERANCE
            return own + _gain(node, known.slack.get(node.input, 0.0))
        case ir.Conv():
            return _allowed_of_conv(node, values, known)


def _allowed_of_conv(node: ir.Conv, values: Mapping[str, IntArray], known: Known) -> Steps:
    steps: Steps = TOLERANCE + _gain(node, known.slack.get(node.input, 0.0))
    if node.residual is not None:
        steps = steps + _largest(known.slack.get(node.residual, 0.0))
    if node.fold is None:
        return steps
    scores = node.fold.scores
    off = np.asarray(known.slack.get(scores, 0.0) + 0.5 * (scores in known.rounded)) / SCORE_ONE
    if not off.any():
        return steps
    return steps + np.ceil(_before_the_score(node, values) * off.reshape(*off.shape, 1, 1))


def _steepest(node: ir.Lookup, values: Mapping[str, IntArray]) -> float:
    """Steps by which the result moves, at most, where the input moves by one."""
    from_least = np.roll(node.entries, 128 if values[node.input].dtype == np.int8 else 0)
    return float(np.abs(np.diff(from_least.astype(np.int64))).max())


def _largest(steps: Steps) -> float:
    return float(np.max(steps, initial=0.0))


def _gain(node: ir.Conv | ir.Dense | ir.Gate, slack: Steps, raw: bool = False) -> Steps:
    """Steps by which a layer's results move if all it reads are `slack` off, one an output.

    `slack` of a vector may be (N, n): of each element.  `raw`: in steps of the accumulator.
    """
    if not np.any(slack):
        return 0.0
    weight = np.abs(node.weight.astype(np.float64)).reshape(len(node.weight), -1)
    each = np.ndim(slack) == 2 and not isinstance(node, ir.Conv)
    steps = slack @ weight.T if each else weight.sum(axis=1) * _largest(slack)
    if not raw:
        factors = node.requantize
        steps = np.ceil(steps * factors.multiplier / 2.0 ** factors.shift.astype(np.float64))
    return steps.reshape(-1, 1, 1) if isinstance(node, ir.Conv) else steps


def unsure_averages(node: ir.Pool, values: Mapping[str, IntArray]) -> Steps:
    """1 where an average lies on a rounding tie, (N, C).

    One Pool serves all averages of a map that a file writes; there, each may round its own way.
    """
    total = values[node.input].astype(np.float64).sum(axis=(2, 3))
    part = total * node.multiplier / 2.0**node.shift % 1.0
    return (np.abs(part - 0.5) < TIE).astype(np.float64)


def _before_the_score(node: ir.Conv, values: Mapping[str, IntArray]) -> npt.NDArray[np.float64]:
    """Magnitudes of a convolution without its score, in steps of its output, not clamped."""
    bare = dataclasses.replace(
        node, fold=None, residual=None, saturate_before_add=False, clamp=(-WIDE, WIDE)
    )
    return np.abs(compute(bare, values, signed=True)).astype(np.float64)

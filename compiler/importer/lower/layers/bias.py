"""Biases: from what the file says to int32 steps of the accumulator, as exact as a result needs.

The core adds the bias before it requantises, so a bias is a whole number of accumulator steps, and
what rounding it costs is worth scale / step of the result.  That is next to nothing where a layer's
weights use their eight bits.  Where it is not, a finer accumulator keeps it: weights times k have
steps of scale / k.  Weights that are all zero say nothing about the scale, so any serves.
"""

import dataclasses

import numpy as np

from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import Array
from penstock.compiler.importer.terms import Linear
from penstock.compiler.numerics import ACCUMULATOR_LIMIT, type_range

#: Steps of the result that a bias may be off before a finer accumulator is looked for: it moves at
#: most this part of the results across a rounding tie.
CLOSE = 1 / 32
#: ... and before the network is refused.
WORST = 1 / 4
#: Steps of the accumulator in one of the result, where the weights leave them open.
FINEST = 1 << 15


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """An accumulator in integers.

    Attributes:
        weight: as the term's, int8.
        bias: int32, in steps of `scale`.
        scale: (O,) float64.
        error: (O,) float64, steps of the result that the bias is off.
        finer: (O,) int64, what the weights were multiplied by.
    """

    weight: Array
    bias: Array
    scale: Array
    error: Array
    finer: Array


def fit(builder: Builder, term: Linear, step: float) -> Fitted:
    """The term in integers, for a result in steps of `step`.

    Raises:
        CompileError: a bias lies outside int32, or further off than WORST.
    """
    outputs = len(term.bias)
    weight = term.weight.copy()
    bias = np.zeros(outputs, np.int64)
    scale, error = term.scale.copy(), np.zeros(outputs)
    finer = np.ones(outputs, np.int64)
    largest = max(map(abs, type_range(builder.values[term.input].signed)))
    reach = np.abs(weight.reshape(outputs, -1).astype(np.int64)).sum(axis=1) * largest
    for index in range(outputs):
        exact = float(term.bias[index]) + float(term.offset[index]) / scale[index]
        worth = scale[index] / step
        bias[index] = _whole(exact)
        error[index] = abs(exact - bias[index]) * worth
        if abs(exact) + reach[index] >= ACCUMULATOR_LIMIT or error[index] > CLOSE:
            if reach[index] * worth <= CLOSE:  # whatever it reads, the result is the bias
                weight[index] = 0
                scale[index] = step / FINEST
                bias[index] = _saturated(exact * worth * FINEST)
                error[index] = reach[index] * worth + 0.5 / FINEST
            else:
                gain = _gain(weight[index], exact, worth, int(reach[index]))
                weight[index] *= gain
                scale[index] /= gain
                bias[index] = _whole(exact * gain)
                error[index] = abs(exact - bias[index] / gain) * worth
                finer[index] = gain
    _check(term, bias, error)
    return Fitted(weight=weight, bias=bias.astype(np.int32), scale=scale, error=error, finer=finer)


def _whole(steps: float) -> int:
    """Rounded; what is far beyond an accumulator stays so, and `_check` refuses it."""
    return round(min(max(steps, -(2.0**62)), 2.0**62))


def _saturated(steps: float) -> int:
    """Rounded to an accumulator; what lies outside saturates any result it is requantised to."""
    return round(min(max(steps, 1.0 - ACCUMULATOR_LIMIT), ACCUMULATOR_LIMIT - 1.0))


def _gain(weight: Array, bias: float, worth: float, reach: int) -> int:
    """What to multiply a channel's weights by: the least that brings the bias CLOSE, else the
    best."""
    low, high = int(weight.min()), int(weight.max())
    most = min(127 // high if high > 0 else 127, -128 // low if low < 0 else 127)
    most = int(min(most, (ACCUMULATOR_LIMIT - 1) // (reach + abs(bias) + 1)))
    gains = np.arange(1, max(most, 1) + 1)
    errors = np.abs(bias - np.rint(bias * gains) / gains) * worth
    close = errors <= CLOSE
    return int(gains[np.argmax(close) if close.any() else np.argmin(errors)])


def _check(term: Linear, bias: Array, error: Array) -> None:
    worst = int(np.argmax(np.abs(bias)))
    if abs(int(bias[worst])) >= ACCUMULATOR_LIMIT:
        raise term.node.error(
            f"accumulator could overflow: the bias of channel {worst} is {bias[worst]:.4g} steps",
            "its weights are (nearly) zero: use a larger weight scale for the channel",
        )
    worst = int(np.argmax(error))
    if error[worst] > WORST:
        raise term.node.error(
            f"the bias of channel {worst} lies {error[worst]:.2g} steps of the result off the "
            f"steps of the accumulator, {term.scale[worst]:.3g}",
            "quantise the weights more finely (their integers are small numbers of wide steps), "
            "or the bias as int32 with scale s_in * s_w",
        )

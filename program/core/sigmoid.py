"""The scores of a SIGMOID gate: one table, from which every engine has its own.

z is what a GATE's dense layer gives, int8 in steps of 1/16: -8 .. 7.94.  Its score is
round(128 sigmoid(z)), 0 .. 128, and s(-z) = 128 - s(z): no entry lies half way between two.  From
|z| = 89 / 16 on it is 0 or 128.
"""

import math

#: Steps of z in 1.0.
SIGMOID_STEPS = 16


def _score(z: int) -> int:
    return math.floor(128 / (1 + math.exp(-z / SIGMOID_STEPS)) + 0.5)


#: Score of the byte z, two's complement: 0 .. 127, then -128 .. -1.
SIGMOID_TABLE: tuple[int, ...] = tuple(map(_score, (*range(128), *range(-128, 0))))

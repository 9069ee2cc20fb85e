"""ONNX's elementwise operators of numbers, in float64: what an activation is made of.

Operands are arrays of one shape or single numbers, None where an optional input is absent; truth
is 0.0 or 1.0.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Operands = list[Reals | None]
Attributes = Mapping[str, Any]
Function = Callable[..., Reals]

_ERF: Function = np.vectorize(math.erf, otypes=[np.float64])
SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}


def _sigmoid(x: Reals) -> Reals:
    """1 / (1 + exp(-x)) without an overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _softplus(x: Reals) -> Reals:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _hard_sigmoid(x: Reals, alpha: float = 0.2, beta: float = 0.5) -> Reals:
    return np.clip(alpha * x + beta, 0.0, 1.0)


def _gelu(x: Reals, approximate: str = "none") -> Reals:
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1.0 + _ERF(x / math.sqrt(2.0)))


def _elu(x: Reals, alpha: float = 1.0) -> Reals:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _celu(x: Reals, alpha: float = 1.0) -> Reals:
    return np.maximum(x, 0.0) + np.minimum(0.0, alpha * np.expm1(np.minimum(x, 0.0) / alpha))


def _selu(x: Reals, alpha: float = SELU["alpha"], gamma: float = SELU["gamma"]) -> Reals:
    return gamma * _elu(x, alpha)


def _leaky(x: Reals, alpha: float = 0.01) -> Reals:
    return np.where(x < 0, alpha * x, x)


def _thresholded(x: Reals, alpha: float = 1.0) -> Reals:
    return np.where(x > alpha, x, 0.0)


def _shrink(x: Reals, bias: float = 0.0, lambd: float = 0.5) -> Reals:
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0))


def _where(condition: Reals, x: Reals, y: Reals) -> Reals:
    return np.where(condition != 0, x, y)


def _clip(x: Reals, low: Reals | None = None, high: Reals | None = None) -> Reals:
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


#: Operators of one operand.
UNARY: dict[str, Function] = {
    "Abs": np.abs,
    "Cast": lambda x: x,
    "Ceil": np.ceil,
    "Celu": _celu,
    "Cos": np.cos,
    "Elu": _elu,
    "Erf": _ERF,
    "Exp": np.exp,
    "Floor": np.floor,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x: x * _hard_sigmoid(x, 1.0 / 6.0, 0.5),
    "LeakyRelu": _leaky,
    "Log": np.log,
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "Neg": np.negative,
    "Not": lambda x: 1.0 - x,
    "Reciprocal": np.reciprocal,
    "Relu": lambda x: np.maximum(x, 0.0),
    "Round": np.rint,
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": _sigmoid,
    "Sign": np.sign,
    "Sin": np.sin,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (1.0 + np.abs(x)),
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
    "ThresholdedRelu": _thresholded,
}
#: Operators of several.
SEVERAL: dict[str, Function] = {
    "Add": np.add,
    "Clip": _clip,
    "Div": np.divide,
    "Greater": lambda x, y: (x > y).astype(np.float64),
    "GreaterOrEqual": lambda x, y: (x >= y).astype(np.float64),
    "Less": lambda x, y: (x < y).astype(np.float64),
    "LessOrEqual": lambda x, y: (x <= y).astype(np.float64),
    "Max": lambda *operands: functools.reduce(np.maximum, operands),
    "Min": lambda *operands: functools.reduce(np.minimum, operands),
    "Mul": np.multiply,
    "PRelu": lambda x, slope: np.where(x < 0, slope * x, x),
    "Pow": np.power,
    "Sub": np.subtract,
    "Where": _where,
}
FUNCTIONS: dict[str, Function] = UNARY | SEVERAL


def evaluate(op: str, operands: Operands, attributes: Attributes) -> Reals:
    """What an operator of FUNCTIONS makes of its operands: float64, NaN or infinity where it is
    not defined."""
    with np.errstate(all="ignore"):
        given = list(operands)
        while given and given[-1] is None:
            given.pop()
        known = {} if op == "Cast" else attributes
        return np.asarray(FUNCTIONS[op](*given, **known), dtype=np.float64)

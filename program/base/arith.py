"""Divisions that round up, of integers and of arrays of them."""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy.typing as npt

Number = TypeVar("Number", int, "npt.NDArray[Any]")


def ceil_div(value: Number, step: Any) -> Number:
    """The least n with n * step >= value."""
    return -(-value // step)


def round_up(value: Number, step: Any) -> Number:
    """The least multiple of `step` that is no less than `value`."""
    return -(-value // step) * step

"""The rules of `penstock.program.core.checks`, as what stops the golden engine."""

from penstock.program.core.checks import Limits, out_size, violation
from penstock.program.core.descriptor import Descriptor
from penstock.sim.golden.state import GoldenError

__all__ = ["Limits", "check", "out_size"]


def check(d: Descriptor, limits: Limits, index: int = 0) -> None:
    """GoldenError if the descriptor, number `index` of the program, is illegal there."""
    if broken := violation(d, limits, index):
        code, reason = broken
        raise GoldenError(code, reason=reason)

"""Multiplications in the source: what the estimate of the DSP slices counts, and whether it counts
all of them (the static proof asks)."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from penstock.hls.sources import TOP

_CALL = re.compile(r"\bcall\b[^@\n]*@\"?([\w.$]+)\"?\(")
_PRODUCT = re.compile(r"= mul (?:nuw |nsw )*i\d+ (%\S+), (%\S+)$", re.M)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Multiplications:
    """Those in the source of one function.

    Attributes:
        calls: ways from the top to it: so often it is in a core whose synthesiser shares nothing.
        small: of a number of 17 bits with one of 24, one slice each: addresses and trip counts.
        other: of the arithmetic, with slices of its own in `multipliers`.
    """

    calls: int = 1
    small: int = 0
    other: int = 0


#: Function -> its multiplications.  What is not here has none.
SOURCE_MULTIPLICATIONS = {
    "penstock": Multiplications(small=1),  # weights of the convolution behind
    "check": Multiplications(calls=6, small=1),
    # Weights of a group, pixels, three of a burst, window, row of weights, old bytes, slice; a
    # fold, a product, a requantised sum.
    "convolve": Multiplications(small=9, other=3),
    "fetch_ahead": Multiplications(small=3, other=1),  # three of a burst; a fold
    "ask_ahead": Multiplications(small=3),  # of a burst
    "run_gate": Multiplications(other=1),  # a requantised sum of the vector
    "make_outputs": Multiplications(calls=2, small=2, other=2),  # a product, a requantised sum
    "copy_planes": Multiplications(small=2),
    "pool_windows": Multiplications(small=4, other=1),  # a requantised average
}


def more_than_counted(module: Any) -> Iterator[tuple[str, str]]:
    """(function, what) of each that multiplies more often than counted, or is called so.

    `module`: the core as written, with functions that are no modules of their own in their
    callers; a product with a constant is shifts and sums.
    """
    texts = {f.name: str(f) for f in module.functions if not f.is_declaration}
    top = next(name for name in texts if _plain(name) == TOP)
    calls: Counter[str] = Counter()
    waiting = [top]
    while waiting:  # every way from the top; there is no recursion
        name = waiting.pop()
        calls[name] += 1
        waiting += [callee for callee in _CALL.findall(texts[name]) if callee in texts]
    for name, ways in calls.items():
        counted = SOURCE_MULTIPLICATIONS.get(_plain(name), Multiplications())
        found, known = len(_PRODUCT.findall(texts[name])), counted.small + counted.other
        if found > known:
            yield _plain(name), f"multiplies {found} times, the estimate counts {known}"
        if known and ways > counted.calls:
            yield (
                _plain(name),
                f"is called in {ways} ways, the estimate counts {counted.calls}",
            )


def _plain(name: str) -> str:
    """The function's own name, of the one that the linker knows: the last of the scopes' names."""
    scope, found = name.removeprefix("_Z").removeprefix("N"), ""
    while match := re.match(r"L?(\d+)", scope):  # L: of its file alone
        begin, length = match.end(), int(match[1])
        found, scope = scope[begin : begin + length], scope[begin + length :]
    return found

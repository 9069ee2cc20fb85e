"""Multiplications in the source against those that the estimate of the DSP slices counts."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from penstock.hls.resources import SOURCE_MULTIPLICATIONS, Multiplications
from penstock.hls.sources import TOP

_CALL = re.compile(r"\bcall\b[^@\n]*@\"?([\w.$]+)\"?\(")
_PRODUCT = re.compile(r"= mul (?:nuw |nsw )*i\d+ (%\S+), (%\S+)$", re.M)


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
            yield _plain(name), f"multiplies {found} times, resources.py counts {known}"
        if known and ways > counted.calls:
            yield _plain(name), f"is called in {ways} ways, resources.py counts {counted.calls}"


def _plain(name: str) -> str:
    """The function's own name, of the one that the linker knows: the last of the scopes' names."""
    scope, found = name.removeprefix("_Z").removeprefix("N"), ""
    while match := re.match(r"(\d+)", scope):
        begin, length = match.end(), int(match[1])
        found, scope = scope[begin : begin + length], scope[begin + length :]
    return found

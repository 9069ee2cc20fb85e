"""Names that nothing else has: the one place where passes get the names they invent.

A file may call its tensors and nodes anything, `act_scale` and `conv.copy` among it.  Passes on the
ONNX network and on the integer graph ask `FreshNames`.  The back end names what it derives from a
value after it, with one of the endings of `DERIVED`; `unique_names` takes those endings from the
file's own names before, so no name of the file is a derived one.
"""

import re
from collections.abc import Iterable

#: Endings of the names of what the back end derives from a value or a node: copies, layouts, sums,
#: parts ("[0:16]"), images ("#1"), rows ("+2"), and the other form of a shortcut ("a as b").
DERIVED = re.compile(
    r"(\.(clear|copy\d*|odd|polyphase|pool|subsampled|sums|table\d*)|\[\d+:\d+\]|[#+]\d+| as .+)$"
)


class FreshNames:
    """Gives out names, none of them twice and none of those taken.

    Args:
        taken: names that are in use already.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def __call__(self, wanted: str) -> str:
        """`wanted` if nothing has it, else it with a number: `wanted~2`, `wanted~3`."""
        name = wanted
        while name in self._taken:
            number = self._next.get(wanted, 2)
            self._next[wanted] = number + 1
            name = f"{wanted}~{number}"
        self._taken.add(name)
        return name

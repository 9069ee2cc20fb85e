"""Programs started with `python -m penstock....`: what the user can put right is one line there.

A package that is missing stops such a program while its module is imported, before any `main` of
its own can catch that; so the packages that hold programs call `explain_errors` first.
"""

import os
import sys
from pathlib import Path
from types import TracebackType

from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import explained

#: In the environment: show tracebacks as well.
DEBUG_VARIABLE = "PENSTOCK_DEBUG"


def explain_errors() -> None:
    """Let a PenstockError or a missing package end the program in one line, exit code 2.

    Only where `python -m` runs a module of Penstock, and in `penstock` itself, whose own net starts
    after its imports: a script that imports Penstock keeps Python's tracebacks.
    """
    names = (word.removeprefix("-m") for word in sys.orig_argv)
    module = sys.argv[:1] == ["-m"] and any(name.startswith("penstock.") for name in names)
    if module or (sys.argv and Path(sys.argv[0]).stem == "penstock"):
        sys.excepthook = _explain


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An excepthook; what it raises decides the exit code."""
    said = explained(error) if isinstance(error, Exception) else error
    known = isinstance(said, PenstockError)
    if not known or os.environ.get(DEBUG_VARIABLE):
        sys.__excepthook__(kind, error, trace)
    if known:
        print(f"error: {' '.join(str(said).split())}", file=sys.stderr)
        raise SystemExit(2)

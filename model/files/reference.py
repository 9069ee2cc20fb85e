"""Objects of the caller's by name: `pkg.module:name`."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from penstock.model.errors import ConfigError

FORM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_reference(text: str) -> bool:
    """Whether a text names an object of a module."""
    return FORM.fullmatch(text) is not None


def load_object(text: str, what: str) -> Any:
    """The object that `pkg.module:name` names, of a module found from the current folder too.

    `what` is what a message calls it.  The module's code runs.

    Raises:
        ConfigError: no such module or name, or the module fails as it is imported.
    """
    module, _, path = text.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    hint = "pkg.module:name, of a module that is installed or in the current folder"
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise ConfigError(f"{what} '{text}': no module '{error.name}'", hint) from error
        raise ConfigError(f"{what} '{text}': {error}", "install it") from error
    except Exception as error:  # whatever the caller's module raises
        raise ConfigError(f"{what} '{text}': {failure(error)}", "repair the module") from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{what} '{text}': '{module}' has no '{part}'", hint)
        found = getattr(found, part)
    return found


def failure(error: BaseException) -> str:
    """An exception of the caller's code on a line: type, first line, and where it was raised."""
    lines = str(error).strip().splitlines()
    trace, last = error.__traceback__, ""
    while trace is not None:
        last = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {lines[0] if lines else ''}{last}"

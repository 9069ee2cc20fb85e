"""Which exceptions are the user's to repair, and how they are worded: one line, exit code 2."""

import importlib
import sys
from types import ModuleType

import rich_click as click

from penstock.program.errors import PenstockError
from penstock.program.optional import explained

MISMATCH = 1
BAD_INPUT = 2
INTERRUPTED = 130

#: Families that do not derive from PenstockError; looked up only where their module is loaded.
_OTHER_FAMILIES = (("penstock.model.errors", "ModelError"),)


class InputError(PenstockError):
    """An argument or a file given on the command line that cannot be used."""


def is_user_error(error: Exception) -> bool:
    """True if `error` belongs to a family of mistakes the user can repair."""
    if isinstance(error, (PenstockError, click.ClickException)):
        return True
    families = [getattr(sys.modules.get(m), name, None) for m, name in _OTHER_FAMILIES]
    return any(family is not None and isinstance(error, family) for family in families)


def describe(error: Exception) -> str:
    """`error: what, where; hint` on one line."""
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "penstock"
        text = f"{error.format_message().rstrip('.')}; see: {command} --help"
    elif isinstance(error, click.ClickException):
        text = error.format_message()
    else:
        text = str(error)
    return "error: " + " ".join(text.split())


def load(module: str) -> ModuleType:
    """Import a module of Penstock; MissingPackageError if a package that it needs is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise explained(error) from None

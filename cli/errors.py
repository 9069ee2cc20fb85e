"""Which exceptions are the user's to repair, and how they are worded: one line, exit code 2."""

import errno
from types import ModuleType

import rich_click as click

from penstock.errors import InputError as InputError
from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import require
from penstock.text import printable

MISMATCH = 1
BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141  # as of a program that SIGPIPE ends

#: Characters of a message; the rest is in a log file or comes with --debug.
LONGEST = 1000


def describe(error: BaseException) -> str:
    """`error: what, where; hint` on one line, of anything that was raised."""
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "penstock"
        text = f"{error.format_message().rstrip('.')}; see: {command} --help"
    elif isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, PenstockError):
        text = str(error)
    else:
        text = _unforeseen(error)
    line = printable(" ".join(text.split()))
    if len(line) > LONGEST:
        line = f"{line[:LONGEST].rstrip()} ... (all of it with --debug)"
    return f"error: {line}"


def _unforeseen(error: BaseException) -> str:
    """What nobody worded: the machine's limits and refusals, and our own mistakes."""
    said = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        files = [str(name) for name in (error.filename, error.filename2) if name is not None]
        where = f": {' -> '.join(files)}" if files else ""
        hint = _OS_HINTS.get(error.errno, "")
        return f"{error.strerror or said}{where}{f'; {hint}' if hint else ''}"
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {said}' if said else ''}; give fewer images (--limit)"
    if isinstance(error, RecursionError):
        return f"a file is nested too deeply ({said}); --debug shows where"
    if isinstance(error, UnicodeError):
        return f"text in an encoding that cannot be used ({said}); use UTF-8"
    family = type(error).__module__.partition(".")[0]
    kind = type(error).__name__ if family == "builtins" else f"{family} {type(error).__name__}"
    return (
        f"unexpected {kind}: {said[: LONGEST // 2]}; this is a mistake in Penstock: please report "
        "it with what the same command prints with --debug"
    )


_OS_HINTS = {
    errno.ENOSPC: "free some space or write elsewhere",
    errno.EDQUOT: "the quota is used up, write elsewhere",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "write elsewhere",
    errno.EISDIR: "give the name of a file",
    errno.ENOTDIR: "a part of the path is a file",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "raise the limit: ulimit -n",
}


def load(module: str) -> ModuleType:
    """Import a module of Penstock; MissingPackageError if a package that it needs is missing."""
    return require(module)

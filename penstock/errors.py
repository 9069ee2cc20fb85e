"""What a caller of the door, or the command line, got wrong."""

from penstock.program.base.errors import PenstockError


class InputError(PenstockError):
    """An argument or a file that cannot be used."""


class PenstockWarning(UserWarning):
    """What works and is of little use: one line with the figures."""

"""stdin, stdout and stderr: there in every environment, and never the reason of a crash."""

import contextlib
import io
import os
import sys

#: How Python's streams treat what they cannot encode; "surrogateescape" in the C locale.
_STRICT = ("strict", "surrogateescape")


def prepare_streams() -> None:
    """Give a process whose streams are closed others, and replace what they cannot encode.

    A closed descriptor would be taken by the next file that is opened, and messages written to it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _STRICT:
            stream.reconfigure(errors="replace")


def flush_streams() -> None:
    """Write what is buffered while an error can still be reported."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def silence_stdout() -> None:
    """After an error: what stdout cannot take any more is dropped without another word."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

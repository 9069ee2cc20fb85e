"""What a compiler or another tool said, in a line that fits a message; all of it in a file."""

import contextlib
import re
from pathlib import Path

#: Characters of a tool's line that a message shows.
LONGEST = 300

_ERROR = re.compile(r"%Error|\berror\b|undefined reference|cannot|No space|Killed", re.IGNORECASE)


def first_error(log: str) -> str:
    """The first line of `log` that looks like an error, else the last one, cut to `LONGEST`."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    found = next((line for line in lines if _ERROR.search(line)), lines[-1])
    return found if len(found) <= LONGEST else f"{found[:LONGEST].rstrip()} ..."


def keep_log(log: str, path: Path) -> str:
    """Write all of `log` to `path`; words that say where it is, or that it could not be kept."""
    with contextlib.suppress(OSError):
        path.write_bytes(log.encode("utf-8", "surrogateescape"))
        return f"all of it is in {path}"
    return f"{path} could not be written"

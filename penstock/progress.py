"""Progress of what takes long, on stderr: a bar on a terminal, a line with the seconds after it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from penstock.text import plain, printable


@contextmanager
def step(text: str) -> Iterator[Callable[[int, int], None]]:
    """Show that something long is running; afterwards a line with the seconds it took.

    Yields a function of (done, total) that moves the bar, for work that can tell.
    """
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task(printable(text), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
    console.print(plain(f"{text}: {time.monotonic() - started:.1f} s"), soft_wrap=True)

"""What every command prints: progress and tables for people, JSON for programs."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click
from rich.console import Console
from rich.table import Table

from penstock.program.base.files import write_text
from penstock.text import plain, printable

F = TypeVar("F", bound=Callable[..., Any])

STDOUT = "-"


def json_option(command: F) -> F:
    """The `--json [FILE]` option every command with figures has; bare `--json` means stdout."""
    return click.option(
        "--json",
        "json_to",
        metavar="[FILE|-]",
        is_flag=False,
        flag_value=STDOUT,
        help="Write the figures as JSON to FILE, or to stdout (no table then).",
    )(command)


def emit(figures: dict[str, Any], json_to: str | None, *tables: Table) -> None:
    """Print the tables and write the figures, or print the figures alone for `--json -`."""
    text = json.dumps(figures, indent=2) + "\n"
    if json_to == STDOUT:
        sys.stdout.write(text)
        return
    if json_to is not None:
        write_text(Path(json_to), text)
    console = Console()
    for table in tables:
        console.print(table)


def note(text: str) -> None:
    """One line for people, on stderr so that stdout stays parseable."""
    Console(stderr=True, highlight=False).print(plain(text), soft_wrap=True)


def warn(warnings: Iterable[str]) -> None:
    """Each warning on a line of its own on stderr."""
    for text in warnings:
        print(printable("warning: " + " ".join(text.split())), file=sys.stderr)


class PlainTable(Table):
    """A table that shows every cell as it stands: names may hold what rich takes for markup."""

    def add_row(self, *cells: Any, **settings: Any) -> None:
        """Add a row; strings are shown character by character."""
        super().add_row(*(plain(c) if isinstance(c, str) else c for c in cells), **settings)


def table(title: str, *columns: str) -> Table:
    """A table whose first column holds names and whose others hold numbers."""
    result = PlainTable(title=plain(title), title_justify="left")
    for index, column in enumerate(columns):
        result.add_column(plain(column), justify="right" if index else "left")
    return result

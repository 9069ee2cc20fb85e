"""Small tables, as text for `print` and as HTML for a notebook."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence

Row = Sequence[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A title, names of columns ("": none) and rows; the first column holds names."""

    title: str
    columns: Row
    rows: Sequence[Row]

    def text(self) -> str:
        """Columns beside each other, without a newline at the end."""
        shown = [self.columns, *self.rows] if any(self.columns) else [*self.rows]
        widths = [max((len(row[i]) for row in shown), default=0) for i in range(len(self.columns))]
        lines = ["  ".join(_cells(row, widths)).rstrip() for row in shown]
        return "\n".join([self.title, *(f"  {line}" for line in lines)])

    def html(self) -> str:
        """The same as a <table>; whatever stands in a cell is text."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        caption = f"<caption>{html.escape(self.title)}</caption>"
        return f"<table>{caption}<tr>{head}</tr>{body}</table>"


def _cells(row: Row, widths: list[int]) -> list[str]:
    """Names to the left, figures to the right, sentences (the last column) as they are."""
    first, *others = row
    cells = [first.ljust(widths[0])]
    for index, cell in enumerate(others, start=1):
        number = cell[:1].isdigit() or cell[:1] == "-"
        cells.append(cell.rjust(widths[index]) if number else cell.ljust(widths[index]))
    return cells

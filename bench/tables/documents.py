"""Tables in documents: each stands between two markers of its name and is never typed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from penstock.program.base.files import write_text


def replace_between(text: str, name: str, content: str) -> str:
    """`text` with `content` between the markers of `name`; ValueError if it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no markers of '{name}'")
    return f"{before}{begin}\n{content}\n{end}{after}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table whose first `words` columns hold words and whose others hold numbers."""
    rule = "|" + "---|" * words + "---:|" * (len(head) - words)
    first, *rest = (f"| {' | '.join(line)} |" for line in (head, *rows))
    return "\n".join((first, rule, *rest))


def put_into(document: Path, name: str, content: str) -> None:
    """Replace what stands between the markers of `name` in a document."""
    document.write_text(
        replace_between(document.read_text(encoding="utf-8"), name, content), encoding="utf-8"
    )


def update_document(
    document: Path, tables: Mapping[str, str], command: str, *, check: bool = False
) -> bool:
    """Put tables, by the names of their markers, into a document, or only compare.

    Those whose markers it has not are left out.

    Returns:
        True if the document was not current; a check then prints `command`, which makes it so.
    """
    old = new = document.read_text(encoding="utf-8")
    here = {name: text for name, text in tables.items() if f"<!-- {name}: begin -->" in old}
    for name, content in here.items():
        new = replace_between(new, name, content)
    if new != old and check:
        print(f"{document} is not current: run `{command}`")
    elif new != old:
        write_text(document, new)
        print(f"{document.name}: {', '.join(here)}")
    return new != old

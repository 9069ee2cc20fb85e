"""Tables in documents: each stands between two markers of its name and is never typed."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def replace_between(text: str, name: str, content: str) -> str:
    """`text` with `content` between the markers of `name`; ValueError if it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no markers of '{name}'")
    return f"{before}{begin}\n{content}\n{end}{after}"


def put_into(document: Path, name: str, content: str) -> None:
    """Replace what stands between the markers of `name` in a document."""
    document.write_text(
        replace_between(document.read_text(encoding="utf-8"), name, content), encoding="utf-8"
    )


def update_document(
    document: Path,
    tables: Callable[[], Mapping[str, str]],
    command: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """The command line of a script that writes tables (by the name of their markers).

    Rewrites the document and prints them; with --check, the exit code 1 says that it is not
    current, and `command` what makes it so.
    """
    parser = argparse.ArgumentParser(description=f"put tables into {document.name}")
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args(arguments).check
    made = tables()
    old = new = document.read_text(encoding="utf-8")
    for name, content in made.items():
        new = replace_between(new, name, content)
    if check:
        if new != old:
            print(f"{document.name} is not current: run `{command}`")
        return int(new != old)
    document.write_text(new, encoding="utf-8")
    print("\n\n".join(made.values()))
    return 0

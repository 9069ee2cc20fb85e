"""Writes docs/api.md, the reference of `import penstock`, from the docstrings."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

import penstock
from penstock.bench.figures import ROOT

DOCUMENTS = (ROOT / "docs" / "api.md",)
#: In the order in which a reader needs them.
NAMES = (
    ("compile", "load", "prepare_qat", "Network")
    + ("Comparison", "GateList", "Estimate", "Run", "Memory", "Pixels")
    + ("PenstockError", "PenstockWarning")
)
SECTIONS = ("Args", "Attributes", "Raises", "Returns")


def reference() -> str:
    """Every name of the door, as Markdown."""
    missing = set(penstock.__all__) - {"__version__"} - set(NAMES)
    assert not missing, missing
    parts: list[str] = []
    for name in NAMES:
        parts += entry(name, getattr(penstock, name), 2)
    return "\n".join(parts).rstrip("\n")


def entry(name: str, item: Any, level: int) -> Iterator[str]:
    """Heading, signature and text of a function or a class, then of its members."""
    yield f"{'#' * level} {name}\n"
    if callable(item) and name not in ("PenstockError", "PenstockWarning"):
        if inspect.isfunction(item) or dataclasses.is_dataclass(item):
            yield f"```python\n{signature(name, item)}\n```\n"
    yield from prose(inspect.getdoc(item) or "")
    if inspect.isclass(item) and item.__module__.startswith("penstock."):
        for label, member in vars(item).items():
            if label != "__call__" and label.startswith("_"):
                continue
            if isinstance(member, property) or inspect.isfunction(member):
                yield from member_entry(name, label, member)


def member_entry(owner: str, label: str, member: Any) -> Iterator[str]:
    """A method or a property."""
    what = label if isinstance(member, property) else f"{label}()"
    yield f"**`{owner}.{what}`**\n"
    if not isinstance(member, property):
        yield f"```python\n{signature(label, member)}\n```\n"
    yield from prose(inspect.getdoc(member) or "")


def signature(name: str, item: Any) -> str:
    """A line, or a line an argument."""
    found = inspect.signature(item)
    parts = [re.sub(r"Memory\(.*\)", "Memory()", part) for part in shown(found)]
    flat = f"{name}({', '.join(parts)})"
    if len(flat) <= 90:
        return flat
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def shown(found: inspect.Signature) -> Iterator[str]:
    """Parameters but `self`, and the star before the first that is given by name alone."""
    star = False
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            star = True
            yield "*"
        text = f"{parameter.name}: {inspect.formatannotation(parameter.annotation)}".replace(
            "'", ""
        )
        given = parameter.default is not parameter.empty
        yield f"{text} = {parameter.default!r}" if given else text


def prose(text: str) -> Iterator[str]:
    """A docstring as Markdown: its lists of arguments are lists."""
    section = ""
    for block in text.split("\n\n"):
        lines = block.splitlines()
        head = lines[0].rstrip(":")
        if head in SECTIONS and lines[0].endswith(":"):
            yield f"{head}:\n"
            yield from items(lines[1:])
            section = head
        else:
            yield ("\n".join(lines)) + "\n"
    assert section in ("", *SECTIONS)


def items(lines: list[str]) -> Iterator[str]:
    """`name: text` over several lines, as a list."""
    found: list[str] = []
    for line in lines:
        if line.startswith("     "):
            found[-1] += " " + line.strip()
        else:
            name, _, rest = line.strip().partition(":")
            found.append(f"- `{name}`:{rest}")
    yield "\n".join(found) + "\n"


def tables() -> dict[str, str]:
    """The reference by the name of its markers."""
    return {"api": reference()}

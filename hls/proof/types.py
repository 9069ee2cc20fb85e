"""Sizes and offsets of LLVM's types, from their text."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from penstock.program.base.arith import round_up

_NAMED = re.compile(r'(%"[^"]+"|%[\w.]+) = type (.*)')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """A type: `elements` of it and their `offsets` in bytes where it is a struct; an array has one
    element and `count`; a number or pointer has neither."""

    size: int
    align: int
    name: str = ""
    elements: tuple["Type", ...] = ()
    offsets: tuple[int, ...] = ()
    count: int = 0


class Types:
    """The types of one module."""

    def __init__(self, module: Any) -> None:
        self._known: dict[str, Type] = {}
        self._text: dict[str, str] = {}
        for line in str(module).split("\n"):
            if match := _NAMED.match(line):
                self._text[match[1]] = match[2]

    def parse(self, text: str) -> Type:
        """The type that a text begins with."""
        return self._parse(text.strip())[0]

    def _parse(self, text: str) -> tuple[Type, str]:
        """A type and what follows it."""
        if match := re.match(r"i(\d+)", text):
            size = max(1, int(match[1]) // 8)
            return Type(size=size, align=min(size, 8)), text[match.end() :]
        if text.startswith("ptr"):
            return Type(size=8, align=8), text[3:]
        if match := re.match(r"\[(\d+) x ", text):
            element, rest = self._parse(text[match.end() :])
            count = int(match[1])
            whole = Type(
                size=count * element.size, align=element.align, elements=(element,), count=count
            )
            return whole, rest[1:]
        if match := re.match(r'%"[^"]+"|%[\w.]+', text):
            return self._named(match[0]), text[match.end() :]
        return self._struct(text)

    def _named(self, name: str) -> Type:
        if name not in self._known:
            found, _ = self._parse(self._text[name])
            # A second module in the same context has the names with a number behind them.
            bare = re.sub(r"\.\d+$", "", name.strip('%"')).rpartition("::")[2]
            self._known[name] = dataclasses.replace(found, name=bare)
        return self._known[name]

    def _struct(self, text: str) -> tuple[Type, str]:
        """`{ a, b }`, in C's layout."""
        rest = text[1:].lstrip()
        elements: list[Type] = []
        while not rest.startswith("}"):
            element, rest = self._parse(rest)
            elements.append(element)
            rest = rest.lstrip(", ")
        offsets, at = [], 0
        for element in elements:
            at = round_up(at, element.align)
            offsets.append(at)
            at += element.size
        align = max((element.align for element in elements), default=1)
        size = round_up(at, align)
        struct = Type(size=size, align=align, elements=tuple(elements), offsets=tuple(offsets))
        return struct, rest[1:]


def leaf_at(whole: Type, offset: int, path: str = "") -> tuple[str, int, Type]:
    """The array or number at a byte of a struct of structs: its path by index (`.2.0`), where it
    begins, its type."""
    if not whole.offsets:
        return path, 0, whole
    index = max(i for i, at in enumerate(whole.offsets) if at <= max(offset, 0))
    begin = whole.offsets[index]
    inner, at, leaf = leaf_at(whole.elements[index], offset - begin, f"{path}.{index}")
    return inner, begin + at, leaf


def dimensions(array: Type) -> Iterator[tuple[int, int]]:
    """(elements, bytes from one to the next) of every dimension of an array, outermost first."""
    while array.count:
        yield array.count, array.elements[0].size
        array = array.elements[0]

"""A function of LLVM's intermediate code as plain data: operations, blocks, dominators, loops."""

import dataclasses
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

#: A constant, a value's name, or nothing that is known (undef, a block, a function).
Operand = int | str | None

_WIDTH = re.compile(r"\bi(\d+)\b")
_CASTS = ("zext", "sext", "trunc", "ptrtoint", "inttoptr", "bitcast")
_NOTE = re.compile(r'asm sideeffect "# (\w+) ?(\w*)"')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Op:
    """One instruction.

    Attributes:
        name: of its value; made up where it has none.
        opcode: LLVM's.
        block: where it stands.
        operands: without blocks; those of a phi in the order of `sources`.
        sources: of a phi: the blocks its operands come from.
        line: as LLVM prints it.
        width: bits of its result, or of what it stores or compares.
    """

    name: str
    opcode: str
    block: str
    operands: tuple[Operand, ...]
    sources: tuple[str, ...]
    line: str
    width: int

    @property
    def note(self) -> tuple[str, str] | None:
        """(what, of what) of an asm statement of translate.py or bus/ps_bus.h."""
        found = _NOTE.search(self.line) if self.opcode == "call" else None
        return (found[1], found[2]) if found else None


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Block:
    """A basic block; `condition`: what its branch asks, if it has more than one successor."""

    name: str
    ops: list[Op]
    successors: list[str]
    predecessors: list[str]
    condition: Operand


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loop:
    """A natural loop; `label`: of the source, empty where that unrolls it; `pipelined`: by it."""

    header: str
    latches: tuple[str, ...]
    blocks: frozenset[str]
    label: str
    pipelined: bool

    def __contains__(self, block: object) -> bool:
        return block in self.blocks


class Graph:
    """One function."""

    def __init__(self, function: Any) -> None:
        """`function`: llvmlite's ValueRef, every instruction named (the pass of that name)."""
        self.name: str = function.name
        self.blocks: dict[str, Block] = {}
        self.ops: dict[str, Op] = {}
        lines = _lines(function)
        for block in function.blocks:
            self._add(block, lines)
        for known in self.blocks.values():
            for successor in known.successors:
                self.blocks[successor].predecessors.append(known.name)

    def _add(self, block: Any, lines: Iterator[str]) -> None:
        ops: list[Op] = []
        successors: list[str] = []
        condition: Operand = None
        for at, instruction in enumerate(block.instructions):
            opcode, line, values = instruction.opcode, next(lines), list(instruction.operands)
            sources: tuple[str, ...] = ()
            if opcode in ("br", "switch"):
                blocks = [value for value in values if _is_block(value)]
                successors = list(dict.fromkeys(value.name for value in blocks))
                condition = _operand(values[0]) if len(successors) > 1 else None
                values = []
            elif opcode == "phi":
                sources = tuple(source.name for source in instruction.incoming_blocks)
            op = Op(
                name=instruction.name or f"{block.name}#{at}",
                opcode=opcode,
                block=block.name,
                operands=tuple(map(_operand, values)),
                sources=sources,
                line=line,
                width=_width(opcode, line),
            )
            ops.append(op)
            self.ops[op.name] = op
        self.blocks[block.name] = Block(
            name=block.name, ops=ops, successors=successors, predecessors=[], condition=condition
        )

    @cached_property
    def order(self) -> list[str]:
        """Blocks in reverse post-order, from the entry on."""
        entry = next(iter(self.blocks))
        seen, done, stack = {entry}, [], [(entry, iter(self.blocks[entry].successors))]
        while stack:
            name, rest = stack[-1]
            following = next((s for s in rest if s not in seen), None)
            if following is None:
                done.append(name)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(self.blocks[following].successors)))
        return done[::-1]

    @cached_property
    def dominators(self) -> dict[str, str]:
        """Block -> its immediate dominator; the entry is its own."""
        rank = {name: i for i, name in enumerate(self.order)}
        found = {self.order[0]: self.order[0]}
        changed = True
        while changed:
            changed = False
            for name in self.order[1:]:
                known = [p for p in self.blocks[name].predecessors if p in found]
                best = known[0]
                for other in known[1:]:
                    a, b = best, other
                    while a != b:
                        a, b = (found[a], b) if rank[a] > rank[b] else (a, found[b])
                    best = a
                if found.get(name) != best:
                    found[name], changed = best, True
        return found

    def dominates(self, above: str, below: str) -> bool:
        """Every way to `below` goes through `above`."""
        while below != above and self.dominators[below] != below:
            below = self.dominators[below]
        return below == above

    @cached_property
    def loops(self) -> list[Loop]:
        """Outer ones first."""
        latches: dict[str, list[str]] = {}
        for name in self.order:
            for successor in self.blocks[name].successors:
                if self.dominates(successor, name):
                    latches.setdefault(successor, []).append(name)
        bodies = {header: self._body(header, ends) for header, ends in latches.items()}
        found = []
        for header, body in bodies.items():
            kind, label = self._label(body, [b for b in bodies.values() if b < body])
            loop = Loop(
                header=header,
                latches=tuple(latches[header]),
                blocks=body,
                label=label,
                pipelined=kind == "pipeline",
            )
            found.append(loop)
        return sorted(found, key=lambda loop: -len(loop.blocks))

    def _body(self, header: str, latches: list[str]) -> frozenset[str]:
        body, stack = {header}, list(latches)
        while stack:
            name = stack.pop()
            if name not in body:
                body.add(name)
                stack += self.blocks[name].predecessors
        return frozenset(body)

    def _label(self, body: frozenset[str], inner: list[frozenset[str]]) -> tuple[str, str]:
        """What translate.py noted in the loop itself."""
        own = body.difference(*inner)
        notes = (op.note for name in own for op in self.blocks[name].ops)
        return next((n for n in notes if n and n[0] in ("pipeline", "rolled")), ("", ""))

    def pipelined(self) -> list[Loop]:
        """Loops that carry a PIPELINE."""
        return [loop for loop in self.loops if loop.pipelined]

    def inner(self, loop: Loop) -> list[Loop]:
        """Loops within it."""
        return [other for other in self.loops if other.blocks < loop.blocks]

    def ops_of(self, loop: Loop) -> Iterator[Op]:
        """Its operations, in an order in which values come before their uses."""
        for name in self.order:
            if name in loop:
                yield from self.blocks[name].ops


def _is_block(value: Any) -> bool:
    return bool(value.value_kind.name == "basic_block")


def _operand(value: Any) -> Operand:
    kind = value.value_kind.name
    if kind == "constant_int":
        constant, width = int(value.get_constant_value()), int(str(value.type)[1:])
        return constant - (1 << width) if width > 1 and constant >> (width - 1) else constant
    if kind == "constant_pointer_null":
        return 0
    return str(value.name) if kind in ("instruction", "argument", "global_variable") else None


def _lines(function: Any) -> Iterator[str]:
    """The text of each instruction, in order; that of a switch ends after its first line."""
    in_switch = False
    for line in str(function).split("\n"):
        if in_switch:
            in_switch = line.strip() != "]" and not line.startswith("  ],")
        elif line.startswith("  "):
            yield line.strip()
            in_switch = line.endswith("[")


def _width(opcode: str, text: str) -> int:
    """Bits of the result; of what is stored or compared."""
    if opcode in _CASTS:
        found = _WIDTH.search(text, text.rindex(" to "))
    elif opcode == "select":
        found = _WIDTH.search(text, text.index(","))
    else:
        found = _WIDTH.search(text, max(text.find(f"{opcode} "), 0))
    pointer = "load ptr" in text or "phi ptr" in text or "store ptr" in text
    return int(found[1]) if found and not pointer else 64

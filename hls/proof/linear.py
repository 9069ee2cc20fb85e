"""Values as sums: constant + multiples of values that are no sums themselves.

Addresses, what a loop adds to a value an iteration, and how often a loop runs.
"""

import dataclasses
import re
from functools import cached_property

from penstock.hls.proof.graph import Graph, Loop, Op, Operand
from penstock.hls.proof.types import Types

_GEP = re.compile(r"getelementptr (?:(?:inbounds|nuw|nusw|inrange\([^)]*\)) )*")
_ALLOCA = re.compile(r"alloca (.*?), align")
_MODULUS = 1 << 64
#: Comparisons that end a counted loop.
_ORDERED = re.compile(r"icmp (?:samesign )?(ult|ule|ugt|uge|slt|sle|sgt|sge)")
#: Of them, those that include the bound, where it is the second operand, or the first.
_PASSED = (
    re.compile(r"icmp (?:samesign )?(?:ule|ugt|sle|sgt)\b"),
    re.compile(r"icmp (?:samesign )?(?:uge|ult|sge|slt)\b"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Affine:
    """`const` + the sum of multiples of values: `terms` is (name, factor), by name."""

    const: int
    terms: tuple[tuple[str, int], ...] = ()

    def plus(self, other: "Affine", factor: int = 1) -> "Affine":
        """This + factor * other."""
        sums = dict(self.terms)
        for name, times in other.terms:
            sums[name] = sums.get(name, 0) + times * factor
        const = (self.const + other.const * factor + _MODULUS // 2) % _MODULUS - _MODULUS // 2
        return Affine(const, tuple(sorted((n, t) for n, t in sums.items() if t)))

    def times(self, factor: int) -> "Affine":
        """This, multiplied."""
        return Affine(0).plus(self, factor)


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """A place in memory: a variable of the source (or argument), and bytes from its beginning."""

    base: str
    offset: Affine


class Values:
    """The values of one function."""

    def __init__(self, graph: Graph, types: Types) -> None:
        self.graph = graph
        self._types = types
        self._linear: dict[str, Affine] = {}
        self._address: dict[str, Address] = {}

    def linear(self, value: Operand) -> Affine:
        """A number as a sum; a value that is none is the one term of its own."""
        if not isinstance(value, str):
            return Affine(value or 0)
        if value not in self._linear:
            self._linear[value] = Affine(0, ((value, 1),))  # a phi that depends on itself
            op = self.graph.ops.get(value)
            self._linear[value] = self._sum(op) if op else self._linear[value]
        return self._linear[value]

    def _sum(self, op: Op) -> Affine:
        own = Affine(0, ((op.name, 1),))
        first, *others = op.operands or (None,)
        second = others[0] if others else None
        if op.opcode in ("add", "sub") or (op.opcode == "or" and "disjoint" in op.line):
            return self.linear(first).plus(self.linear(second), -1 if op.opcode == "sub" else 1)
        if op.opcode in ("mul", "shl") and isinstance(second, int):
            return self.linear(first).times(second if op.opcode == "mul" else 1 << second)
        if op.opcode in ("zext", "sext", "freeze"):
            return self._extended(op.opcode, first, own)
        return own

    def _extended(self, opcode: str, value: Operand, own: Affine) -> Affine:
        """A wider copy is the same sum if the sum cannot have wrapped."""
        op = self.graph.ops.get(value) if isinstance(value, str) else None
        if op is None or opcode == "freeze":
            return self.linear(value)
        flag = "nuw" if opcode == "zext" else "nsw"
        plain = self.linear(value).terms == ((value, 1),)
        if opcode == "zext" and plain:
            return self.linear(value)
        return self.linear(value) if re.search(rf"\b{flag}\b|disjoint", op.line) else own

    def address(self, value: Operand) -> Address:
        """Where a pointer points."""
        if not isinstance(value, str):
            return Address("", Affine(0))
        if value not in self._address:
            op = self.graph.ops.get(value)
            is_sum = op is not None and op.opcode == "getelementptr"
            self._address[value] = self._element(op) if op and is_sum else Address(value, Affine(0))
        return self._address[value]

    def _element(self, op: Op) -> Address:
        start = self.address(op.operands[0])
        match = _GEP.search(op.line)
        assert match, op.line
        whole = self._types.parse(op.line[match.end() :])
        offset = start.offset.plus(self.linear(op.operands[1]), whole.size)
        for index in op.operands[2:]:
            if whole.offsets:
                assert isinstance(index, int)
                offset = offset.plus(Affine(whole.offsets[index]))
                whole = whole.elements[index]
            else:
                whole = whole.elements[0]
                offset = offset.plus(self.linear(index), whole.size)
        return Address(start.base, offset)

    @cached_property
    def variables(self) -> dict[str, str]:
        """Variable on the function's stack -> the text of its type."""
        return {
            op.name: match[1]
            for op in self.graph.ops.values()
            if op.opcode == "alloca" and (match := _ALLOCA.search(op.line))
        }

    def invariant(self, value: Operand, loop: Loop) -> bool:
        """The same in every iteration, seen from the loop alone: what is read in it is not."""
        op = self.graph.ops.get(value) if isinstance(value, str) else None
        if op is None or op.block not in loop:
            return True
        if op.opcode in ("phi", "load", "call"):
            return False
        return all(self.invariant(operand, loop) for operand in op.operands)

    def step(self, value: Operand, loop: Loop) -> int | None:
        """What every iteration adds to a value of the loop's header, if that is one constant;
        pointers in bytes."""
        op = self.graph.ops.get(value) if isinstance(value, str) else None
        if op is None or op.opcode != "phi" or op.block != loop.header:
            return None
        steps = set()
        for operand, source in zip(op.operands, op.sources, strict=True):
            if source in loop:
                if "phi ptr" in op.line:
                    address = self.address(operand)
                    known = address.base == op.name and not address.offset.terms
                    steps.add(address.offset.const if known else None)
                else:
                    rest = self.linear(operand).plus(Affine(0, ((op.name, 1),)), -1)
                    steps.add(None if rest.terms else rest.const)
        return steps.pop() if len(steps) == 1 else None

    def bound(self, loop: Loop) -> tuple[str, Affine] | None:
        """(counting value, its first value behind the end) of a loop that runs a number of times
        known when it begins: every exit compares a count with what does not change.  None where
        one does not."""
        found = None
        for name in loop.blocks:
            block = self.graph.blocks[name]
            if all(successor in loop for successor in block.successors):
                continue
            found = self._exit(block.condition, loop)
            if found is None:
                return None
        return found

    def _exit(self, condition: Operand, loop: Loop) -> tuple[str, Affine] | None:
        op = self.graph.ops.get(condition) if isinstance(condition, str) else None
        if op is None or op.opcode != "icmp" or op.block not in loop:
            return None
        for count, limit, passed in zip(op.operands, op.operands[::-1], _PASSED, strict=True):
            terms = [name for name, _ in self.linear(count).terms]
            counters = [name for name in terms if not self.invariant(name, loop)]
            if len(counters) != 1 or not self.invariant(limit, loop):
                continue
            step = self.step(counters[0], loop)
            if step is not None and (abs(step) == 1 or (step and _ORDERED.search(op.line))):
                end = self.linear(limit).plus(Affine(int(bool(passed.search(op.line)))))
                beside = self.linear(count).plus(Affine(0, ((counters[0], 1),)), -1)
                return counters[0], end.plus(beside, -1)
        return None

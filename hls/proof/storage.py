"""What the pragmas of the source make of its arrays, and the accesses of a loop to them."""

import dataclasses
import math
import re
from collections.abc import Iterator
from functools import cache

from penstock.hls.proof.graph import Graph, Loop, Op, Operand
from penstock.hls.proof.linear import Address, Values
from penstock.hls.proof.types import Type, Types, dimensions, leaf_at
from penstock.hls.proof.widths import Widths

_PRAGMA = re.compile(r"#pragma HLS (ARRAY_PARTITION|BIND_STORAGE|DEPENDENCE) variable=([\w.]+)(.*)")
_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.M | re.S)
_FIELD = re.compile(r"^  [\w:]+ (\w+)(?:\[.*)?;", re.M)
#: What LLVM appends to the name of a variable that it copies or splits.
_COPIES = re.compile(r"((\.i\d*)|(\.sroa\.\d+)|(\.\d+)|\d+)*$")
_COPY = re.compile(r"@llvm\.(memcpy|memmove|memset)\b")

#: An array of so many elements is registers without a pragma (config_array_partition's default).
FEW = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """One array, or number of a struct.

    Attributes:
        name: as the source has it (`fetch.rows`).
        base: the variable of the function.
        begin: bytes of the variable before it.
        type: its own.
        registers: it is no memory.
        split: its dimensions that are partitioned (from 1).
        reads, writes: ports of each of its memories; together at most `ports`.
    """

    name: str
    base: str
    begin: int
    type: Type
    registers: bool
    split: frozenset[int]
    reads: int
    writes: int
    ports: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Access:
    """One read or write of `size` bytes."""

    op: Op
    write: bool
    address: Address
    size: int
    storage: Storage


class Pragmas:
    """What the source says of its arrays."""

    def __init__(self, files: dict[str, str]) -> None:
        self.found: dict[str, set[tuple[str, str]]] = {}
        self.fields: dict[str, list[str]] = {}
        self.independent: set[tuple[str, str]] = set()  # (loop, array)
        for text in files.values():
            for function in text.split("\n}\n"):
                self._add(function)
            for name, body in _STRUCT.findall(text):
                self.fields[name] = _FIELD.findall(body)
            for label, body in re.findall(
                r"^ *(\w+):\n *(?:for|while) .*\n((?: *//.*\n|#.*\n)+)", text, re.M
            ):
                for kind, name, rest in _PRAGMA.findall(body):
                    if kind == "DEPENDENCE" and "inter false" in rest:
                        self.independent.add((label, name))

    def _add(self, function: str) -> None:
        """What one function says.  Of variables of one name in several, what all of them say: once
        they are in one function, nothing tells them apart."""
        said: dict[str, set[tuple[str, str]]] = {}
        for kind, name, rest in _PRAGMA.findall(function):
            if kind == "DEPENDENCE":
                continue
            said.setdefault(name, set()).add((kind, rest))
        for name, pragmas in said.items():
            self.found[name] = self.found.get(name, pragmas) & pragmas

    def path(self, whole: Type, indices: str) -> str:
        """`.2.0` of a struct in the names of its fields."""
        names = ""
        for index in filter(None, indices.split(".")):
            fields = self.fields.get(whole.name, [])
            names += f".{fields[int(index)] if int(index) < len(fields) else index}"
            whole = whole.elements[int(index)]
        return names


class Memory:
    """The variables of one function."""

    def __init__(self, values: Values, types: Types, pragmas: Pragmas) -> None:
        self.values = values
        self.widths = Widths(values.graph)
        self.pragmas = pragmas
        self._types = types
        self._variables = {name: types.parse(t) for name, t in values.variables.items()}
        self._storage = cache(self._storage_of)
        self._whole = Type(size=8, align=8)
        # Arrays with an index that is no constant: the others are so many numbers.
        self._chosen: set[tuple[str, int]] = set()
        for op in values.graph.ops.values():
            if op.opcode == "getelementptr":
                address = values.address(op.name)
                if address.offset.terms:
                    whole = self._variables.get(address.base, self._whole)
                    self._chosen.add((address.base, leaf_at(whole, address.offset.const)[1]))

    def accesses(self, graph: Graph, loop: Loop) -> Iterator[Access]:
        """Reads and writes of a loop, in its order."""
        for op in graph.ops_of(loop):
            if op.opcode == "load":
                yield self._access(op, op.operands[0], False, max(1, op.width // 8))
            elif op.opcode == "store":
                yield self._access(op, op.operands[1], True, max(1, op.width // 8))
            elif op.opcode == "call" and (copy := _COPY.search(op.line)):
                size = op.operands[2] if isinstance(op.operands[2], int) else 1
                yield self._access(op, op.operands[0], True, size)
                if copy[1] != "memset":
                    yield self._access(op, op.operands[1], False, size)

    def _access(self, op: Op, pointer: Operand, write: bool, size: int) -> Access:
        address = self.values.address(pointer)
        whole = self._variables.get(address.base, self._whole)
        path, begin, _ = leaf_at(whole, address.offset.const)
        storage = self._storage(address.base, path, begin)
        return Access(op=op, write=write, address=address, size=size, storage=storage)

    def _storage_of(self, base: str, path: str, begin: int) -> Storage:
        whole = self._variables.get(base, self._whole)
        _, _, leaf = leaf_at(whole, begin)
        name = _COPIES.sub("", base) + self.pragmas.path(whole, path)
        said = self.pragmas.found.get(name, set())
        bound = next((rest for kind, rest in said if kind == "BIND_STORAGE"), "")
        dims = len(list(dimensions(leaf)))
        split: set[int] = set()
        for kind, rest in said:
            if kind == "ARRAY_PARTITION" and "complete" in rest:
                dim = re.search(r"dim=(\d+)", rest)
                chosen = int(dim[1]) if dim else 1
                split |= set(range(1, dims + 1)) if chosen == 0 else {chosen}
        few = dims == 1 and leaf.count <= FEW and not bound
        fixed = (base, begin) not in self._chosen and not bound
        simple = "ram_s2p" in bound
        return Storage(
            name=name,
            base=base,
            begin=begin,
            type=leaf,
            registers=dims == len(split) or few or fixed,
            split=frozenset(split),
            reads=1 if simple else 2,
            writes=1 if simple else 2,
            ports=2,
        )


def may_meet(one: Access, other: Access) -> bool:
    """Both may touch the same byte."""
    if one.storage != other.storage:
        return False
    gap = other.address.offset.plus(one.address.offset, -1)
    step = math.gcd(*(factor for _, factor in gap.terms))
    if step == 0:
        return -other.size < gap.const < one.size
    rest = gap.const % step
    return rest < one.size or step - rest < other.size


def banks(access: Access) -> frozenset[int]:
    """The partitioned memories that an access may go to."""
    storage, offset = access.storage, access.address.offset
    shape = list(dimensions(storage.type))
    element = shape[-1][1] if shape else storage.type.size
    found: set[int] = set()
    for byte in range(0, max(access.size, 1), element):
        rest, outer, indices = offset.const - storage.begin + byte, 0, [0]
        for dim, (count, stride) in enumerate(shape, 1):
            if dim in storage.split:
                # What the index is a multiple of, beside the constant.
                factors = [
                    abs(factor) % outer if outer else abs(factor) for _, factor in offset.terms
                ]
                every = math.gcd(count, *(f // stride for f in factors))
                first = rest // stride % every
                indices = [i * count + n for i in indices for n in range(first, count, every)]
            rest, outer = rest % stride, stride
        # The members of a struct are arrays of their own.
        found.update(index * element + rest for index in indices)
    return frozenset(found)

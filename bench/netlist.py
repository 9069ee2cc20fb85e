"""A synthesised netlist (Yosys JSON, 7-series cells): what it uses and how deep its logic is."""

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

Cell = dict[str, Any]
Bit = int | str

#: Cells whose outputs follow their inputs within the cycle, beside DSP48E1 without registers.
_LOGIC = {*(f"LUT{n}" for n in range(1, 7)), "INV", "MUXF7", "MUXF8", "CARRY4", "SRL16E", "RAM32M"}
#: Of the memories among them: what only the clock edge samples.
_SAMPLED = {"SRL16E": {"D", "CE", "CLK"}, "RAM32M": {"DIA", "DIB", "DIC", "DID", "WE", "WCLK"}}
_OPERANDS = {"A": "AREG", "B": "BREG", "C": "CREG", "D": "DREG"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Cells of one design; `lut` includes those used as memory.  `depth`: levels, see `depth`."""

    lut: int
    ff: int
    dsp: int
    ramb36: int
    ramb18: int
    depth: int
    path: tuple[str, ...]

    @property
    def bram36(self) -> float:
        """Block RAM in units of RAMB36."""
        return self.ramb36 + self.ramb18 / 2


def count(module: dict[str, Any]) -> Resources:
    """The resources of a flat module.  Estimates: nothing is placed or packed."""
    cells = module["cells"]
    number = collections.Counter(cell["type"] for cell in cells.values())
    luts = sum(number[f"LUT{n}"] for n in range(1, 7)) + number["SRL16E"] + 4 * number["RAM32M"]
    levels, path = depth(cells)
    return Resources(
        lut=luts,
        ff=sum(number[name] for name in ("FDRE", "FDSE", "FDCE", "FDPE")),
        dsp=number["DSP48E1"],
        ramb36=number["RAMB36E1"],
        ramb18=number["RAMB18E1"],
        depth=levels,
        path=tuple(path),
    )


def _number(cell: Cell, name: str) -> int:
    text = cell["parameters"].get(name, "0")
    return int(text, 2) if set(text) <= {"0", "1"} else 0


def _dsp_arcs(cell: Cell) -> Iterator[tuple[Bit, Bit | None]]:
    """(output, input) pairs of a DSP48E1; input None: the path begins in a register inside."""
    if _number(cell, "PREG"):
        return
    inputs: list[Bit | None] = []
    for port, register in _OPERANDS.items():
        hidden = _number(cell, register) or (port != "C" and _number(cell, "MREG"))
        inputs += [None] if hidden else cell["connections"].get(port, [])
    for out in cell["connections"].get("P", []):
        yield from ((out, source) for source in inputs)


def _arcs(cell: Cell) -> Iterator[tuple[Bit, Bit | None]]:
    """(output, input) pairs between which a cell is combinational."""
    if cell["type"] == "DSP48E1":
        yield from _dsp_arcs(cell)
        return
    if cell["type"] not in _LOGIC:
        return
    sampled = _SAMPLED.get(cell["type"], set())
    directions, wires = cell["port_directions"], cell["connections"]
    inputs = [
        bit
        for port, bits in wires.items()
        if directions[port] == "input" and port not in sampled
        for bit in bits
    ]
    for port, bits in wires.items():
        if directions[port] == "output":
            yield from ((out, source) for out in bits for source in inputs)


def _weight(cell: Cell, source: Bit | None) -> int:
    """Levels of an arc: one a cell, but a carry chain is one level however long it is."""
    return 0 if cell["type"] == "CARRY4" and source in cell["connections"].get("CI", []) else 1


def depth(cells: dict[str, Cell]) -> tuple[int, list[str]]:
    """Levels of the longest combinational path, and where its cells come from in the sources.

    A level is a LUT, a multiplexer, a carry chain, or a DSP slice without registers.

    Raises:
        ValueError: there is a combinational loop.
    """
    drivers: dict[Bit, list[tuple[Bit | None, Cell]]] = collections.defaultdict(list)
    for cell in cells.values():
        for out, source in _arcs(cell):
            drivers[out].append((source, cell))
    best: dict[Bit, tuple[int, Bit | None]] = {}
    active: set[Bit] = set()
    for target in drivers:
        stack = [target]
        while stack:
            bit = stack[-1]
            if bit in best:
                stack.pop()
                continue
            arcs = drivers.get(bit, [])
            open_inputs = [s for s, _ in arcs if s is not None and s not in best and s in drivers]
            if open_inputs:
                if bit in active:
                    raise ValueError(f"combinational loop through net {bit}")
                active.add(bit)
                stack += open_inputs
                continue
            active.discard(bit)
            levels = [(best.get(s, (0, None))[0] if s else 0) + _weight(c, s) for s, c in arcs]
            top = max(range(len(arcs)), key=levels.__getitem__)
            best[bit] = (levels[top], arcs[top][0])
            stack.pop()
    if not best:
        return 0, []
    end: Bit | None = max(best, key=lambda bit: best[bit][0])
    assert end is not None
    return best[end][0], _places(end, best, drivers)


def _places(end: Bit, best: dict[Bit, Any], drivers: dict[Bit, list[Any]]) -> list[str]:
    """Kind and source line of the cells of the longest path, from its end to its start."""
    places: list[str] = []
    bit: Bit | None = end
    while bit is not None and bit in best:
        source = best[bit][1]
        cell = next(c for s, c in drivers[bit] if s == source)
        origin = cell.get("attributes", {}).get("src", "").partition("|")[0]
        if _weight(cell, source):
            places.append(f"{cell['type']} {origin}".strip())
        bit = source
    return places

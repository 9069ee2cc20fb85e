"""What each kind of cell does to time: arcs through it, clock to output, setup.

Ports are of the 7-series library.  A memory's or multiplier's registers decide which arcs it has
(DOA_REG, AREG, MREG, PREG...).
"""

from collections.abc import Iterator
from typing import Any

from penstock.bench.timing.delays import Delays

Cell = dict[str, Any]
Bit = int | str
#: Input port, index, output port, index, nanoseconds.
Arc = tuple[str, int, str, int, float]

REGISTERS = frozenset({"FDRE", "FDSE", "FDCE", "FDPE"})
LUTS = frozenset(f"LUT{n}" for n in range(1, 7))
LUTRAMS = frozenset({"RAM32M", "RAM64M"})
BLOCK_RAMS = frozenset({"RAMB18E1", "RAMB36E1"})
_OPERANDS = {"A": "AREG", "B": "BREG", "D": "DREG"}


def number(cell: Cell, name: str) -> int:
    """A parameter of a cell that is a number; 0 if it is none."""
    value = cell["parameters"].get(name, 0)
    if isinstance(value, int):
        return value
    return int(value, 2) if value and set(value) <= {"0", "1"} else 0


def launch(cell: Cell, port: str, delays: Delays) -> float | None:
    """Nanoseconds from the clock edge to an output; None: no register drives it."""
    kind = cell["type"]
    if kind in REGISTERS:
        return delays.register["clock"]
    if kind in LUTRAMS:
        return delays.lutram["clock"]
    if kind == "SRL16E":
        return delays.shift_register["clock"]
    if kind in BLOCK_RAMS:
        wide = "SDP" in str(cell["parameters"].get("RAM_MODE", ""))  # one port, twice as wide
        own = "DOA_REG" if wide or port.startswith(("DOA", "DOPA")) else "DOB_REG"
        registered = number(cell, own)
        return delays.block_ram["clock_registered" if registered else "clock"]
    return _dsp_launch(cell, port, delays) if kind == "DSP48E1" else None


def _dsp_launch(cell: Cell, port: str, delays: Delays) -> float | None:
    """The delay from the slowest register that has no other behind it; None without registers."""
    clock, more = delays.dsp["clock"], delays.dsp["cascade"] if port == "PCOUT" else 0.0
    if number(cell, "PREG"):
        return float(clock["P"])
    found = [clock["C"]] if number(cell, "CREG") and cell["connections"].get("C") else []
    if number(cell, "MREG"):
        found.append(clock["M"])
    elif any(number(cell, register) for register in _OPERANDS.values()):
        found.append(clock["A"])
    return float(max(found)) + more if found else None


def arcs(cell: Cell, delays: Delays) -> Iterator[Arc]:
    """Every pair of pins between which a cell is combinational."""
    kind, wires = cell["type"], cell["connections"]
    if kind in LUTS or kind == "INV":
        for port in wires:
            if port != "O":
                yield port, 0, "O", 0, delays.lut
    elif kind in ("MUXF7", "MUXF8"):
        for port in ("I0", "I1", "S"):
            yield port, 0, "O", 0, delays.mux[f"{kind}_{port[0]}"]
    elif kind == "CARRY4":
        yield from _carry_arcs(cell, delays)
    elif kind in LUTRAMS:
        for out in (port for port in wires if port.startswith("DO")):
            address = f"ADDR{out[-1]}"
            for i in range(len(wires.get(address, []))):
                for k in range(len(wires[out])):
                    yield address, i, out, k, delays.lutram["address"]
    elif kind == "SRL16E":
        for port in (name for name in wires if name in ("A0", "A1", "A2", "A3")):
            yield port, 0, "Q", 0, delays.shift_register["address"]
    elif kind == "DSP48E1":
        yield from _dsp_arcs(cell, delays)


def _carry_arcs(cell: Cell, delays: Delays) -> Iterator[Arc]:
    for port, bits in cell["connections"].items():
        for i in range(len(bits)):
            name = port if port in ("CI", "CYINIT") else f"{port}{i}"
            for out, delay in delays.carry.get(name, {}).items():
                if len(cell["connections"].get(out[:-1], [])) > int(out[-1]):
                    yield port, i, out[:-1], int(out[-1]), delay


def _dsp_arcs(cell: Cell, delays: Delays) -> Iterator[Arc]:
    if number(cell, "PREG"):
        return
    wires, through = cell["connections"], delays.dsp["through"]
    adds = "NONE" in str(cell["parameters"].get("USE_MULT", ""))
    times: dict[str, float] = {}
    for port, register in _OPERANDS.items():
        if not number(cell, register) and not number(cell, "MREG"):
            times[port] = through["D" if port == "D" else "A_add" if adds else "A"]
    if not number(cell, "CREG"):
        times["C"] = through["C"]
    times["PCIN"] = through["PCIN"]
    for port, delay in times.items():
        for i in range(len(wires.get(port, []))):
            for out, more in (("P", 0.0), ("PCOUT", delays.dsp["cascade"])):
                for k in range(len(wires.get(out, []))):
                    yield port, i, out, k, delay + more


def setup(cell: Cell, port: str, delays: Delays) -> float | None:
    """Nanoseconds an input must hold still before the edge; None: the edge does not see it."""
    kind = cell["type"]
    if kind in REGISTERS:
        return delays.register.get("R" if port in ("S", "CLR", "PRE") else port)
    if kind in LUTRAMS:
        return delays.lutram.get("DI" if port.startswith("DI") else port)
    if kind == "SRL16E":
        return delays.shift_register.get(port)
    if kind in BLOCK_RAMS:
        for name in ("ADDR", "REGCE", "RST", "WE", "EN", "DI"):
            if port.startswith(name):
                return delays.block_ram[name]
        return None
    return _dsp_setup(cell, port, delays.dsp["setup"]) if kind == "DSP48E1" else None


def _dsp_setup(cell: Cell, port: str, times: dict[str, float]) -> float | None:
    if port in _OPERANDS:
        if number(cell, _OPERANDS[port]):
            return times["A"]
        if number(cell, "MREG"):
            return times["A_to_M"]
        return times["A_to_P"] if number(cell, "PREG") else None
    if port == "C" and number(cell, "CREG"):
        return times["C"]
    if port in ("C", "PCIN"):
        return times["C_to_P" if port == "C" else "PCIN"] if number(cell, "PREG") else None
    for name in ("CE", "RST"):
        if port.startswith(name):
            return times[name]
    return None


def level(cell: Cell, port: str) -> int:
    """Levels of logic of an arc: one a cell, but a carry chain is one however long it is."""
    return 0 if cell["type"] == "CARRY4" and port == "CI" else 1


def launch_level(cell: Cell) -> int:
    """Levels between a cell's register and its output: a DSP slice without PREG works there."""
    return int(cell["type"] == "DSP48E1" and not number(cell, "PREG"))

"""Arrival times in a netlist: every register to every register, for one setting of the wires."""

import dataclasses
from collections import defaultdict
from typing import Any

from penstock.bench.timing import cells
from penstock.bench.timing.cells import Cell
from penstock.bench.timing.delays import Delays, Wire

#: Cell, port, index in the port; the cell of a port of the design is "".
Pin = tuple[str, str, int]
#: Net, cell delay, pin of the arc's input.
_Arc = tuple[int, float, Pin]


@dataclasses.dataclass(slots=True, eq=False)
class Netlist:
    """A flat module: nets are numbers, each with the pin that drives it and those it drives."""

    cells: dict[str, Cell]
    drivers: dict[int, Pin]
    sinks: dict[int, list[Pin]]
    inputs: set[int]
    outputs: dict[int, Pin]
    names: dict[int, str]

    @classmethod
    def read(cls, module: dict[str, Any]) -> "Netlist":
        """The netlist of the flat module in Yosys' JSON."""
        drivers: dict[int, Pin] = {}
        sinks: dict[int, list[Pin]] = defaultdict(list)
        for name, cell in module["cells"].items():
            for port, bits in cell["connections"].items():
                drives = cell["port_directions"][port] == "output"
                for i, bit in enumerate(bits):
                    if isinstance(bit, str):
                        continue
                    if drives:
                        drivers[bit] = (name, port, i)
                    else:
                        sinks[bit].append((name, port, i))
        inputs: set[int] = set()
        outputs: dict[int, Pin] = {}
        for port, found in module.get("ports", {}).items():
            for i, bit in enumerate(found["bits"]):
                if isinstance(bit, int) and found["direction"] == "input":
                    inputs.add(bit)
                elif isinstance(bit, int):
                    outputs[bit] = ("", port, i)
        return cls(module["cells"], drivers, dict(sinks), inputs, outputs, _names(module))

    def fan_out(self, net: int) -> int:
        """Pins that a net drives."""
        return len(self.sinks.get(net, ())) + (net in self.outputs)

    def packed(self, net: int, sink: Pin) -> bool:
        """Is this sink beside the driver in its slice, or in a column with wires of its own?"""
        driver = self.drivers.get(net)
        if driver is None or not sink[0]:
            return False
        here, there = self.cells[driver[0]]["type"], self.cells[sink[0]]["type"]
        if sink[1] == "PCIN" or (there == "CARRY4" and sink[1] == "CI" and here == "CARRY4"):
            return True
        if here in cells.LUTS or here == "INV":
            if (there == "CARRY4" and sink[1] == "S") or (there == "MUXF7" and sink[1][0] == "I"):
                return True  # they have no other way in: the mapper's LUT is copied if it must be
        if there == "MUXF8" and here == "MUXF7":
            return sink[1] in ("I0", "I1")
        if there in cells.REGISTERS and sink[1] == "D":
            if here in cells.LUTS or here in ("MUXF7", "MUXF8", "CARRY4", "INV"):
                return next(pin for pin in self.sinks[net] if pin[1] == "D") == sink
        return False


def _names(module: dict[str, Any]) -> dict[int, str]:
    """The plainest name of every net."""
    best: dict[int, tuple[tuple[bool, int], str]] = {}
    for name, found in module.get("netnames", {}).items():
        bits = found["bits"]
        hidden = "$" in name or bool(found.get("hide_name"))
        for i, bit in enumerate(bits):
            if isinstance(bit, str):
                continue
            full = f"{name}[{i + found.get('offset', 0)}]" if len(bits) > 1 else name
            rank = (hidden, len(full))
            if bit not in best or rank < best[bit][0]:
                best[bit] = (rank, full)
    return {bit: name for bit, (_, name) in best.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """A path's end: nanoseconds from clock edge to clock edge, without the clock's uncertainty."""

    time: float
    net: int
    pin: Pin


@dataclasses.dataclass(slots=True, eq=False)
class Graph:
    """A netlist with the delays of its cells, in topological order."""

    netlist: Netlist
    delays: Delays
    order: list[int]
    arcs: dict[int, list[_Arc]]

    @classmethod
    def build(cls, netlist: Netlist, delays: Delays) -> "Graph":
        """Raises ValueError if there is a combinational loop."""
        arcs: dict[int, list[_Arc]] = defaultdict(list)
        for name, cell in netlist.cells.items():
            wires = cell["connections"]
            for port, i, out, k, delay in cells.arcs(cell, delays):
                source, target = wires[port][i], wires[out][k]
                if isinstance(source, int) and isinstance(target, int):
                    arcs[target].append((source, delay, (name, port, i)))
        return cls(netlist, delays, _sorted(arcs), dict(arcs))

    def levels(self, path: list[tuple[int, Pin | None]]) -> int:
        """Levels of logic on a path (`Arrivals.path`)."""
        found = self.netlist.cells
        start = self.netlist.drivers.get(path[0][0])
        first = cells.launch_level(found[start[0]]) if start else 0
        return first + sum(cells.level(found[pin[0]], pin[1]) for _, pin in path if pin)

    def arrive(self, setting: str) -> "Arrivals":
        """When each net has settled, with the wires of a setting."""
        wire, netlist = self.delays.wires[setting], self.netlist
        times: dict[int, float] = {}
        back: dict[int, _Arc] = {}
        for net, (name, port, _) in netlist.drivers.items():
            start = cells.launch(netlist.cells[name], port, self.delays)
            if start is not None:
                times[net] = start
        times.update(dict.fromkeys(netlist.inputs, self.delays.register["clock"]))
        away = {
            net: wire.delay(netlist.fan_out(net)) for net in (*netlist.drivers, *netlist.inputs)
        }
        for net in self.order:
            best, arc = times.get(net, -1.0), None
            for candidate in self.arcs[net]:
                source, delay, pin = candidate
                if source not in times:
                    continue
                way = wire.packed if netlist.packed(source, pin) else away[source]
                if times[source] + way + delay > best:
                    best, arc = times[source] + way + delay, candidate
            if best >= 0:
                times[net] = best
            if arc is not None:
                back[net] = arc
        return Arrivals(self, times, back, self._ends(times, away, wire))

    def _ends(self, times: dict[int, float], away: dict[int, float], wire: Wire) -> list[End]:
        """Every path's end, the latest first."""
        netlist, found = self.netlist, []
        for net, pins in netlist.sinks.items():
            if net not in times:
                continue
            for pin in pins:
                need = cells.setup(netlist.cells[pin[0]], pin[1], self.delays)
                if need is not None:
                    way = wire.packed if netlist.packed(net, pin) else away[net]
                    found.append(End(times[net] + way + need, net, pin))
        for net, pin in netlist.outputs.items():
            if net in times:
                found.append(End(times[net] + away[net] + self.delays.register["D"], net, pin))
        return sorted(found, key=lambda end: -end.time)


@dataclasses.dataclass(slots=True, eq=False)
class Arrivals:
    """When each net has settled, where the latest change came from, and every path's end."""

    graph: Graph
    times: dict[int, float]
    back: dict[int, _Arc]
    ends: list[End]

    def path(self, net: int) -> list[tuple[int, Pin | None]]:
        """Nets from a register to this one, each with the pin of the arc that leads to it."""
        steps: list[tuple[int, Pin | None]] = []
        while net in self.back:
            source, _, pin = self.back[net]
            steps.append((net, pin))
            net = source
        return [(net, None), *reversed(steps)]

    def levels(self, net: int) -> int:
        """Levels of logic on the latest path to a net."""
        return self.graph.levels(self.path(net))


def _sorted(arcs: dict[int, list[_Arc]]) -> list[int]:
    """Nets that arcs lead to, each behind those that its arcs come from."""
    order: list[int] = []
    state: dict[int, int] = {}
    for root in arcs:
        stack = [root]
        while stack:
            net = stack[-1]
            if state.get(net) == 2:
                stack.pop()
                continue
            before = [
                source for source, _, _ in arcs[net] if source in arcs and state.get(source) != 2
            ]
            if not before:
                state[net] = 2
                order.append(net)
                stack.pop()
            elif state.get(net) == 1:
                raise ValueError(f"combinational loop through net {net}")
            else:
                state[net] = 1
                stack += before
    return order

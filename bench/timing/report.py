"""What a timing run says: fmax, slack, and the worst paths by the modules they lead from and to."""

import collections
import dataclasses
import re
from typing import Any

from penstock.bench.timing import cells
from penstock.bench.timing.delays import WIRES
from penstock.bench.timing.graph import Arrivals, End, Graph, Netlist, Pin

#: Paths whose ends are looked at for the list of pairs, and pairs that are kept.
LOOKED_AT = 20_000
PAIRS = 20
#: Width of a bin of the histogram, nanoseconds.
BIN = 0.5
SOURCE = re.compile(r"(\w+\.sv:\d+)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The worst path from one module to another.

    Attributes:
        time: nanoseconds from edge to edge, uncertainty of the clock included.
        levels: of logic.
        start, end: modules.
        source, target: registers, memories or ports the path leads from and to.
        ends: ends of paths between the two modules, of those looked at.
        cells: kinds of the cells on the way; a carry chain is one.
        lines: where they come from in the sources, as far as the mapper still knows.
    """

    time: float
    levels: int
    start: str
    end: str
    source: str
    target: str
    ends: int
    cells: tuple[str, ...]
    lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One netlist with one set of delays.

    Attributes:
        delays: their name.
        fmax: MHz by setting of the wires.
        ceiling: MHz if wires took no time.
        levels: of the worst path at the middle setting; most: of any path.
        ends: of paths.
        histogram: ends by time at the middle setting: (from, number), nanoseconds.
        pairs: at the middle setting, the worst first.
    """

    delays: str
    fmax: dict[str, float]
    levels: int
    most: int
    ends: int
    histogram: tuple[tuple[float, int], ...]
    pairs: tuple[Pair, ...]


def module_of(name: str) -> str:
    """Instance a net or cell belongs to, without generate blocks and copies: u_core.u_array."""
    parts = [part for part in re.sub(r"\[\d+\]", "", name).split(".") if part.startswith("u_")]
    return ".".join(parts) or "ports"


def depth(graph: Graph) -> tuple[int, list[int]]:
    """Levels of the deepest logic, and the outputs of its cells, a carry chain's last one only."""
    best: dict[int, int] = {}
    back: dict[int, tuple[int, int]] = {}
    found = graph.netlist.cells
    for net, (name, port, _) in graph.netlist.drivers.items():
        if cells.launch(found[name], port, graph.delays) is not None:
            best[net] = cells.launch_level(found[name])
    for net in graph.order:
        for source, _, pin in graph.arcs[net]:
            more = cells.level(found[pin[0]], pin[1])
            if best.get(source, 0) + more > best.get(net, -1):
                best[net], back[net] = best.get(source, 0) + more, (source, more)
    if not best:
        return 0, []
    path: list[int] = []
    last = end = max(best, key=best.__getitem__)
    while last in back:
        path += [last] * back[last][1]
        last = back[last][0]
    if best.get(last):
        path.append(last)
    return best[end], path[::-1]


def report(graph: Graph) -> Report:
    """Everything at once; some seconds for a core."""
    fmax: dict[str, float] = {}
    for setting in WIRES:
        arrivals = graph.arrive(setting)
        worst = arrivals.ends[0].time if arrivals.ends else 0.0
        fmax[setting] = 1000 / (worst + graph.delays.uncertainty)
        if setting == "middle":
            middle = arrivals
    bins = collections.Counter(int(end.time / BIN) for end in middle.ends)
    return Report(
        delays=graph.delays.name,
        fmax={setting: round(value, 1) for setting, value in fmax.items()},
        levels=middle.levels(middle.ends[0].net) if middle.ends else 0,
        most=depth(graph)[0],
        ends=len(middle.ends),
        histogram=tuple((n * BIN, bins[n]) for n in sorted(bins, reverse=True)),
        pairs=_pairs(middle),
    )


def _pairs(arrivals: Arrivals) -> tuple[Pair, ...]:
    worst: dict[tuple[str, str], tuple[End, str, str]] = {}
    count: collections.Counter[tuple[str, str]] = collections.Counter()
    netlist = arrivals.graph.netlist
    for end in arrivals.ends[:LOOKED_AT]:
        source = _start(netlist, arrivals.path(end.net)[0][0])
        target = _end(netlist, end)
        pair = (module_of(source), module_of(target))
        count[pair] += 1
        worst.setdefault(pair, (end, source, target))
    made = []
    for pair, (end, source, target) in list(worst.items())[:PAIRS]:
        kinds, lines = _way(netlist, arrivals.path(end.net))
        made.append(
            Pair(
                time=round(end.time + arrivals.graph.delays.uncertainty, 2),
                levels=arrivals.levels(end.net),
                start=pair[0],
                end=pair[1],
                source=source,
                target=target,
                ends=count[pair],
                cells=kinds,
                lines=lines,
            )
        )
    return tuple(made)


def _way(
    netlist: Netlist, path: list[tuple[int, Pin | None]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kinds: list[str] = []
    lines: list[str] = []
    for net, pin in path:
        driver = netlist.drivers.get(net)
        if driver is None:
            continue
        cell = netlist.cells[driver[0]]
        if pin is not None and cells.level(cell, pin[1]):
            kinds.append(cell["type"])
        lines += SOURCE.findall(cell.get("attributes", {}).get("src", ""))
    return tuple(kinds), tuple(dict.fromkeys(lines))


def _start(netlist: Netlist, net: int) -> str:
    driver = netlist.drivers.get(net)
    name = netlist.names.get(net, str(net))
    if driver is None or netlist.cells[driver[0]]["type"] in cells.REGISTERS:
        return name
    return f"{name} ({netlist.cells[driver[0]]['type']}.{driver[1]})"


def _end(netlist: Netlist, end: End) -> str:
    name, port, index = end.pin
    if not name:
        return f"{port}[{index}]"
    cell = netlist.cells[name]
    if cell["type"] in cells.REGISTERS:
        net = cell["connections"]["Q"][0]
        suffix = "" if port == "D" else f".{port}"
        return f"{netlist.names.get(net, name)}{suffix}"
    return f"{_place(netlist, name)} ({cell['type']}.{port})"


def _place(netlist: Netlist, name: str) -> str:
    """A name for a memory or multiplier: its own, or that of a net it drives."""
    if "$" not in name:
        return name
    cell: dict[str, Any] = netlist.cells[name]
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == "output":
            for bit in bits:
                found = netlist.names.get(bit, "$")
                if "$" not in found:
                    return found
    return name

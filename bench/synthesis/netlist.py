"""A synthesised netlist (Yosys JSON, 7-series cells): what it uses and how deep its logic is."""

import collections
import dataclasses
from typing import Any

from penstock.bench.timing.delays import load_delays
from penstock.bench.timing.graph import Graph, Netlist
from penstock.bench.timing.report import depth

#: Where a path runs is the same for every family; these have the arcs of 7-series cells.
DELAYS = "xc7-1"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Cells of one design; `lut` includes those used as memory.

    `depth`: levels of its deepest logic, a LUT, a multiplexer, a carry chain or a DSP slice without
    registers each; `path`: kind and source line of each, from the end.
    """

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
    """The resources of a flat module.  Estimates: nothing is placed or packed.

    Raises:
        ValueError: there is a combinational loop.
    """
    number = collections.Counter(cell["type"] for cell in module["cells"].values())
    luts = sum(number[f"LUT{n}"] for n in range(1, 7)) + number["SRL16E"] + 4 * number["RAM32M"]
    levels, path = deepest(module)
    return Resources(
        lut=luts,
        ff=sum(number[name] for name in ("FDRE", "FDSE", "FDCE", "FDPE")),
        dsp=number["DSP48E1"],
        ramb36=number["RAMB36E1"],
        ramb18=number["RAMB18E1"],
        depth=levels,
        path=tuple(path),
    )


def deepest(module: dict[str, Any]) -> tuple[int, list[str]]:
    """Levels of the deepest logic, and where its cells come from in the sources, from the end.

    Raises:
        ValueError: there is a combinational loop.
    """
    graph = Graph.build(Netlist.read(module), load_delays(DELAYS))
    levels, path = depth(graph)
    places = []
    for net in reversed(path):
        cell = module["cells"][graph.netlist.drivers[net][0]]
        origin = cell.get("attributes", {}).get("src", "").partition("|")[0]
        places.append(f"{cell['type']} {origin}".strip())
    return levels, places

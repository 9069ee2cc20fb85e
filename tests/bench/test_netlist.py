"""Counting cells and levels of small netlists made by hand."""

import dataclasses
from typing import Any

import pytest

from penstock.bench.resources import longest_paths
from penstock.bench.synthesis.netlist import count, deepest
from penstock.bench.tables.resources import resource_table
from penstock.boards.board import load_board


def cell(kind: str, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": {},
        "attributes": {"src": f"ps_x.sv:{len(inputs)}.1-1.2|lib.v:1"},
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": inputs | outputs,
    }


def carry(ci: list[Any], s: list[Any], co: list[Any]) -> dict[str, Any]:
    return cell("CARRY4", {"CI": ci, "S": s, "DI": ["0"]}, {"CO": co, "O": [co[0] + 100]})


def test_registers_end_paths_and_a_carry_chain_is_one_level() -> None:
    cells = {
        "a": cell("LUT2", {"I0": [1], "I1": [2]}, {"O": [3]}),
        "c0": carry(["0"], [3], [10]),
        "c1": carry([10], ["0"], [11]),
        "c2": carry([11], ["0"], [12]),
        "b": cell("LUT1", {"I0": [112]}, {"O": [4]}),
        "ff": cell("FDRE", {"D": [4], "C": [0]}, {"Q": [5]}),
        "d": cell("LUT1", {"I0": [5]}, {"O": [6]}),
    }
    levels, path = deepest({"cells": cells})
    assert levels == 3
    assert [place.split()[0] for place in path] == ["LUT1", "CARRY4", "LUT2"]


def dsp(**registers: int) -> dict[str, Any]:
    made = cell("DSP48E1", {"A": [1], "B": [2], "C": ["0"]}, {"P": [3]})
    made["parameters"] = {name: f"{value:032b}" for name, value in registers.items()}
    return made


@pytest.mark.parametrize(
    "registers, levels",
    [({}, 3), ({"MREG": 1}, 2), ({"PREG": 1}, 1), ({"AREG": 1, "BREG": 1}, 2), ({"AREG": 1}, 3)],
)
def test_registers_inside_a_dsp_slice(registers: dict[str, int], levels: int) -> None:
    cells = {
        "before": cell("LUT1", {"I0": [9]}, {"O": [2]}),
        "dsp": dsp(**registers),
        "after": cell("LUT1", {"I0": [3]}, {"O": [4]}),
    }
    assert deepest({"cells": cells})[0] == levels


def test_a_loop_is_an_error() -> None:
    cells = {
        "a": cell("LUT1", {"I0": [1]}, {"O": [2]}),
        "b": cell("LUT1", {"I0": [2]}, {"O": [1]}),
    }
    with pytest.raises(ValueError, match="loop"):
        deepest({"cells": cells})


def test_counts_and_table() -> None:
    cells = {
        "l": cell("LUT6", {"I0": [1]}, {"O": [2]}),
        "s": cell("SRL16E", {"D": [1], "A0": [2]}, {"Q": [3]}),
        "m": cell("RAM32M", {"ADDRA": [1]}, {"DOA": [4]}),
        "r18": cell("RAMB18E1", {}, {}),
        "r36": cell("RAMB36E1", {}, {}),
        "ff": cell("FDSE", {"D": [3]}, {"Q": [1]}),
    }
    resources = count({"cells": cells})
    assert (resources.lut, resources.ff, resources.dsp, resources.bram36) == (6, 1, 0, 1.5)
    assert resources.depth == 2
    stored = dataclasses.asdict(resources) | {"bram36": resources.bram36}
    table = resource_table({"z7020": stored}, load_board("pynq-z2"))
    assert "*estimate*" in table
    assert "| RAMB36 (a RAMB18 is half) | 140 | 130 | 1.5 (1%) |" in table
    assert longest_paths({"z7020": resources}) == "z7020: ps_x.sv:2, ps_x.sv:1"

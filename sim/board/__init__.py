"""A simulated board: a PYNQ device whose registers and memory are a model of the core.

`install(SimulatedBoard(core))` makes it PYNQ's active device, after which `Overlay("x.bit")`,
`allocate`, `MMIO` and interrupts work as on a board, and driver and notebook run unmodified.
`core` is the Verilated core (`penstock.sim.rtl.bus.RtlBus`) or a `ScriptedCore`.

    python -m penstock.sim.board -m penstock.host.selftest

runs a module on a board that holds the Verilated core.  Needs pynq and NumPy; the Verilated core
also g++ and make the first time.
"""

from penstock.sim.board.core import Core, ScriptedCore
from penstock.sim.board.design import write_design
from penstock.sim.board.device import SimulatedBoard, install

__all__ = ["Core", "ScriptedCore", "SimulatedBoard", "install", "write_design"]

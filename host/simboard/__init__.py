"""A simulated board: a PYNQ device whose registers and memory are a model of the core.

`SimulatedBoard` takes any `Core`; `install` makes it PYNQ's active device, after which
`Overlay("x.bit")`, `allocate`, `MMIO` and interrupts work as on a board and the driver cannot tell
the difference.  `penstock.sim.board` puts the Verilated core behind it.  Not part of what is
deployed.
"""

from penstock.host.simboard.core import Core, ScriptedCore
from penstock.host.simboard.design import write_design
from penstock.host.simboard.device import SimulatedBoard, install

__all__ = ["Core", "ScriptedCore", "SimulatedBoard", "install", "write_design"]

"""The golden engine: interprets the *bytes* of a Program with NumPy integers (docs/program.md).

Skipping is emulated as the core does it: skipped channels keep whatever bytes lay there, so a
compiler that skips too much is caught.  Timing counters stay 0, the others are exact.
"""

from penstock.sim.golden.machine import Machine, execute, run
from penstock.sim.golden.state import GoldenError

__all__ = ["GoldenError", "Machine", "execute", "run"]

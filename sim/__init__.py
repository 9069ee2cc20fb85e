"""Engines that run a Program: `golden` (NumPy integers) and `rtl` (Verilator)."""

from penstock.program.base.entry import explain_errors

explain_errors()

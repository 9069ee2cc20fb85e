"""Engines that run a Program: `golden` (NumPy integers) and `rtl` (Verilator)."""

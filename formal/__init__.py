"""Formal properties of the core's units, proved with SymbiYosys (docs/verification.md)."""

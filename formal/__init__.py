"""Formal properties of the core's units, proved with SymbiYosys (docs/verification.md)."""

from penstock.program.base.entry import explain_errors

explain_errors()

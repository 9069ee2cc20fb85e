"""Benchmarks: forced masks on the simulated core, resources of the core, other systems."""

from penstock.program.entry import explain_errors

explain_errors()

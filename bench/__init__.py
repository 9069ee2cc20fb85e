"""Benchmarks: forced masks on the simulated core, resources of the core, other systems."""

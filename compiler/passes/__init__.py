"""Passes on the integer graph: pure functions `Graph -> Graph`, one a file."""

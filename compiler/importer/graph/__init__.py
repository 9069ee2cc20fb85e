"""Passes on the integer graph that end the import: pure functions `Graph -> Graph`."""

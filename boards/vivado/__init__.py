"""Emits the Tcl that builds a bitstream with Vivado, from a board's YAML; runs it if asked."""

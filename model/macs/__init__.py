"""Multiply-accumulates: of layers from the trace, and what scores leave of them."""

"""Convolutions, dense layers and pools: accumulators and what is made of them."""

"""Elementwise functions of one tensor, however many operators spell them."""

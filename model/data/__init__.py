"""Data sets: files, arrays, functions, and batches of them."""

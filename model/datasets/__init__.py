"""Data sets: the standard ones, and images of one's own."""

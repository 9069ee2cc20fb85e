"""Checkpoints: the file, its older forms, and its exports."""

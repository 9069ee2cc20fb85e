"""Networks that run in stages along their channels (S2DNAS)."""

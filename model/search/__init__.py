"""The search for how a network is cut into stages (S2DNAS)."""

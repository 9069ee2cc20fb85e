"""Other systems on the same work: NNgen, run here in its own environment; the rest as published."""

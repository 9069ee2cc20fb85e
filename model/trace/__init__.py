"""The trace of a module, and what it shows: logits, exits, scores."""

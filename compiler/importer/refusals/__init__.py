"""What the core does not have: refused by node, with the reason and what to do."""

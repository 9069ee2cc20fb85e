"""What the host computes before and behind the core, peeled off the network's two ends."""

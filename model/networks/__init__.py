"""The zoo's networks: configuration and floating-point module of each kind, and one's own."""

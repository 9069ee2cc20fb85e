"""Networks as numbers: shapes of layers and blocks, and how a network is cut into stages."""

"""Passes that compute ahead what does not depend on the image: constants, biases, norms."""

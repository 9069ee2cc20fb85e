"""Networks with chosen gate scores on the simulated core: a row each of `make bench`."""

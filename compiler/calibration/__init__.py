"""The steps of post-training quantisation: choose points, measure ranges, insert quantisers."""

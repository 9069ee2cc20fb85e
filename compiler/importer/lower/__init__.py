"""One handler an ONNX operator: what the node makes of its operands' terms."""

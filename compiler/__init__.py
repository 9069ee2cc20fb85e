"""ONNX -> integer graph -> passes -> Program; cost model and reports (design section 5)."""

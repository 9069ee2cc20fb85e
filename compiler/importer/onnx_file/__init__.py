"""ONNX files, checked and read; and written back."""

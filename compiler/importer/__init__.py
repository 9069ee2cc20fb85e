"""ONNX import: `import_onnx(path)` gives the integer graph of a QDQ network."""

from penstock.compiler.importer.pipeline import import_model, import_onnx

__all__ = ["import_model", "import_onnx"]

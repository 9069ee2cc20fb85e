"""ONNX files from traces."""

from penstock.model.export.qdq import export_qat

__all__ = ["export_qat"]

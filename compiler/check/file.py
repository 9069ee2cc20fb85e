"""The check of a compiled network: its quantised file, and the float one it was made of."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from penstock.compiler import ir
from penstock.compiler.check.layers import check_graph
from penstock.compiler.check.reference import Reference, prepare
from penstock.compiler.check.result import CheckResult, OriginalDifference
from penstock.compiler.importer.onnx_file.load import load_model, to_net
from penstock.compiler.numerics import quantize

Images = npt.NDArray[Any]


def check_file(
    graph: ir.Graph, model: bytes, images: Images, original: Path | None = None
) -> CheckResult:
    """`check_graph` on a quantised file; with `original`, also what quantising it cost.

    Args:
        graph: what the importer made of `model`.
        model: the bytes of the quantised ONNX file.
        images: (N, C, H, W), N >= 1: float32, or codes as the file takes them.
        original: the float file that calibration made `model` of.

    Raises:
        PenstockError: onnxruntime is missing or cannot run a file.
    """
    prepared = prepare(onnx.load_model_from_string(model))
    result = check_graph(graph, prepared, _as_input(graph, prepared, images))
    if original is None:
        return result
    cost = compare_original(load_model(original), prepared, _as_input(graph, prepared, images))
    return dataclasses.replace(result, original=cost)


def _as_input(graph: ir.Graph, model: onnx.ModelProto, images: Images) -> npt.NDArray[Any]:
    """Images as the model takes them: real, or quantised as the host does."""
    weights = {tensor.name for tensor in model.graph.initializer}
    source = next(value for value in model.graph.input if value.name not in weights)
    if source.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
        return images
    value = graph.values[graph.input]
    if images.dtype != np.float32:  # codes
        return images
    return quantize(images, value.scale, value.signed, value.zero_point)


def compare_original(
    original: onnx.ModelProto, quantized: onnx.ModelProto, images: Images
) -> OriginalDifference:
    """Logits of a float network and of what calibration made of it (both from `prepare`)."""
    exact, rounded = (
        Reference(model, [name]).run(images)[name].reshape(len(images), -1)
        for model in (original, quantized)
        for name in [to_net(model).output]
    )
    largest = float(np.abs(exact).max(initial=0.0))
    return OriginalDifference(
        maximum=float(np.abs(exact - rounded).max(initial=0.0)) / (largest or 1.0),
        disagreements=int((exact.argmax(axis=1) != rounded.argmax(axis=1)).sum()),
    )

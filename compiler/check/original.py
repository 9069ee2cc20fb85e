"""What quantising cost: the float file against the one that calibration made of it."""

import numpy as np
import numpy.typing as npt
import onnx

from penstock.compiler.check.reference import Reference, prepare
from penstock.compiler.check.result import OriginalDifference


def compare_original(
    original: onnx.ModelProto,
    quantized: onnx.ModelProto,
    output: tuple[str, str],
    images: npt.NDArray[np.float32],
) -> OriginalDifference:
    """Logits of both in onnxruntime.

    Args:
        original: the float network.
        quantized: what calibration made of it.
        output: the tensors with the logits, of the one and of the other.
        images: float32 (N, C, H, W).

    Raises:
        CompileError: onnxruntime is missing or cannot run one of them.
    """
    exact, rounded = (
        Reference(prepare(model), [name]).run(images)[name].reshape(len(images), -1)
        for model, name in zip((original, quantized), output, strict=True)
    )
    largest = float(np.abs(exact).max(initial=0.0))
    return OriginalDifference(
        maximum=float(np.abs(exact - rounded).max(initial=0.0)) / (largest or 1.0),
        disagreements=int((exact.argmax(axis=1) != rounded.argmax(axis=1)).sum()),
    )

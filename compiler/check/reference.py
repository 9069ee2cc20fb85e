"""Tensors of an ONNX model in onnxruntime, nothing optimised: the judge of the standing check."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.onnx_file.functions import inline_functions
from penstock.compiler.importer.onnx_file.load import infer
from penstock.compiler.importer.onnx_file.standard import convert_opset, standardize
from penstock.compiler.onnx_session import open_session
from penstock.program.base.optional import MissingPackageError

Array = npt.NDArray[Any]


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as the importer names its tensors: batch size 1, functions replaced, operators of
    ONNX's own in an operator set that is read."""
    return infer(inline_functions(convert_opset(standardize(model))))


class Reference:
    """An ONNX model (from `prepare`) that gives out tensors by name.

    Raises:
        PenstockError: onnxruntime is missing or refuses the model.
    """

    def __init__(self, model: onnx.ModelProto, names: Sequence[str]) -> None:
        wide = onnx.ModelProto()
        wide.CopyFrom(model)
        del wide.graph.output[:]
        wide.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
        self.names = list(names)
        try:
            self._session = open_session(wide)
        except MissingPackageError:
            raise
        except Exception as error:
            raise _refused(error) from None
        self._input = self._session.get_inputs()[0].name

    def run(self, images: Array) -> dict[str, Array]:
        """Tensor -> (N, ...) for images (N, C, H, W) of the model's input type, one at a time.

        Raises:
            CompileError: onnxruntime fails.
        """
        try:
            runs = [self._session.run(self.names, {self._input: image[None]}) for image in images]
        except Exception as error:
            raise _refused(error) from None
        columns = zip(*runs, strict=True)
        return {
            name: np.stack([np.asarray(array) for array in arrays])
            for name, arrays in zip(self.names, columns, strict=True)
        }


def _refused(error: Exception) -> CompileError:
    text = " ".join(str(error).split())[:200]
    return CompileError(f"onnxruntime cannot run the ONNX file: {text}", hint="--no-check")

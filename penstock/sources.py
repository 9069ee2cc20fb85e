"""What the door compiles: a file, an ONNX model in memory, a PyTorch module."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from penstock.engines import Images
from penstock.errors import InputError
from penstock.program.base.optional import require

if TYPE_CHECKING:
    import onnx
    import torch

#: A path of an ONNX file, a model in memory, or a module.
Model: TypeAlias = Union[str, "os.PathLike[str]", "onnx.ModelProto", "torch.nn.Module"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Original:
    """The network that the integers stand for.

    `name`: how a report calls it; `logits`: float32 [N, C, H, W] -> float32 [N, classes], or the
    numbers of another output, image by image.
    """

    name: str
    logits: Callable[[Images], Images]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A network as a file for the importer.

    `original`: of a module; `quantized`: whether it is; None: the file says.
    """

    path: Path
    title: str
    original: Original | None
    quantized: bool | None


@contextmanager
def opened(model: Model, example: Images | None, calibration: Images | None) -> Iterator[Source]:
    """The ONNX file of what was given, for as long as it is needed.

    Raises:
        InputError: a file that is not there, or something that is no network.
        PenstockError: as `export_module`.
    """
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if not path.is_file():
            raise InputError(f"cannot read {path}: no such file", hint="penstock export makes one")
        yield Source(path=path, title=str(path), original=None, quantized=None)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        title, original, quantized = type(model).__name__, None, None
        if "torch" in sys.modules and isinstance(model, require("torch").nn.Module):
            exported = require("penstock.modules").export_module(model, example, calibration)
            path.write_bytes(exported.model.SerializeToString())
            name = f"{title}, {'fake-quantised' if exported.quantized else 'float'}, in PyTorch"
            original, quantized = Original(name=name, logits=exported.logits), exported.quantized
        elif isinstance(model, require("onnx").ModelProto):
            path.write_bytes(model.SerializeToString())
        else:
            raise InputError(
                f"a network of type {title}",
                hint="give a torch.nn.Module, an onnx.ModelProto or the path of an ONNX file",
            )
        yield Source(path=path, title=title, original=original, quantized=quantized)


def original_of(path: Path, thresholds: Sequence[float] | None) -> Original:
    """A float ONNX file in onnxruntime; read at once, as the file may be a temporary one.

    `thresholds`: of its early exits, if the file does not say.
    """
    loader = require("penstock.compiler.importer.onnx_file.load")
    exits = require("penstock.compiler.importer.exits")
    model = loader.load_model(path, exits.threshold_properties(thresholds) if thresholds else {})
    output = loader.to_net(model).output

    def logits(images: Images) -> Images:
        reference = require("penstock.compiler.check.reference").Reference(model, [output])
        found: Any = reference.run(images)[output]
        return np.asarray(found, np.float32).reshape(len(images), -1)

    return Original(name="the float file in onnxruntime", logits=logits)

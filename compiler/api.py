"""From an ONNX file to a compiled network, for one hardware configuration."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from penstock.compiler.calibration.run import quantize_float
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.gate_warnings import gate_warnings
from penstock.compiler.importer import import_model, import_onnx
from penstock.compiler.importer.exits import threshold_properties
from penstock.compiler.importer.onnx_file.external import load_external
from penstock.compiler.importer.onnx_file.load import infer, set_properties
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import HwConfig

#: Schedule of a network whose file does not name one.
DEFAULT_SCHEDULE = "sequential"


def compile_onnx(
    path: Path,
    config: HwConfig,
    schedule: str | None = None,
    calibration: npt.NDArray[np.float32] | None = None,
    *,
    reshape: bool = True,
    thresholds: Sequence[float] | None = None,
    images: int = 1,
    metadata: Mapping[str, str] | None = None,
) -> CompiledNetwork:
    """The Program of an ONNX file for one hardware configuration.

    Args:
        path: a QDQ network.
        config: the core to compile for.
        schedule: "sequential" or "parallel"; None: what the file says, else sequential.
        calibration: images (N, C, H, W) to quantise a float network with.
        reshape: let the array reshape for partial groups; False: the fixed array, same results.
        thresholds: of the early exits, in order; None: what the file says.
        metadata: in place of the file's own, without "penstock." in front: its pixels, class names,
            "logits" (8 or 16 bits: compiler/importer/logits.py).
        images: of a run; of several the small maps lie side by side and share fetched weights
            (compiler/plan/stack_images.py), for networks without gates and exits.

    Raises:
        CompileError: the network is refused; names the node, the reason and a hint.
    """
    path = Path(path)
    warnings: dict[str, str] = {}
    properties = dict(metadata or {})
    properties |= {} if thresholds is None else threshold_properties(thresholds)
    if calibration is None:
        graph = import_onnx(path, properties)
        model = onnx.load_model_from_string(path.read_bytes())
        load_external(model, path.parent)
        set_properties(model, properties)
    else:
        model = quantize_float(path, calibration, properties, warnings)
        graph = import_model(infer(model))
    mode = schedule or graph.metadata.get("schedule") or DEFAULT_SCHEDULE
    package = compile_graph(graph, config, mode, reshape=reshape, images=images)
    warnings |= gate_warnings(graph)  # for every image, where those were for some
    return CompiledNetwork(
        package=package,
        model=model.SerializeToString(),
        graph=graph,
        warnings=tuple(warnings.values()),
    )

"""Sessions of onnxruntime for what the compiler runs there: calibration and the standing check."""

from typing import Any

import onnx

from penstock.program.base.optional import require


def open_session(model: onnx.ModelProto) -> Any:
    """An `onnxruntime.InferenceSession` of a model: one thread, on the CPU, nothing optimised.

    Optimisers change sums, and some cannot cope with inner tensors that are outputs as well.
    Memory planned ahead, which serves from the second run on, gave wrong tensors in 1.18.
    Messages come as exceptions alone.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        Exception: onnxruntime refuses the model; its exceptions have no common base of their own.
    """
    onnxruntime = require("onnxruntime")
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    for node in plain.graph.node:
        node.name = ""  # ONNX allows two nodes of one name, onnxruntime does not
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_mem_pattern = False
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        plain.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # it prints, and tries the same again
    )

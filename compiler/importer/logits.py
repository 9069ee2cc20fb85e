"""Logits of 16 bits: which they are, and what a file's metadata says of them.

A classifier whose file leaves its last dense layer's result in floating point gives it out as int16
(docs/numerics.md).  One that quantises it keeps its 8 bits.

penstock.logits        "16": also where the file quantises them, that quantiser is left out then;
                       "8": nowhere, what is left in floating point is the host's
penstock.logit_scales  JSON, tensor -> the scale that calibration chose
"""

import json
import math
from collections.abc import Mapping

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.net import Net, OpNode

BITS, SCALES = "logits", "logit_scales"
#: What is done to a dense layer's accumulator on the way to its result, in floating point.
ACTIVATIONS = frozenset(["Clip", "Max", "Min", "Relu"])
VIEWS = frozenset(["Flatten", "Reshape", "Squeeze", "Unsqueeze"])
AVERAGES = frozenset(["GlobalAveragePool", "ReduceMean"])


def logit_bits(metadata: Mapping[str, str]) -> int | None:
    """8 or 16; None where the file decides.  CompileError for anything else."""
    text = metadata.get(BITS)
    if text is None:
        return None
    if text not in ("8", "16"):
        raise CompileError(f"penstock.logits is '{text}'", hint="8 or 16")
    return int(text)


def logit_scales(metadata: Mapping[str, str]) -> dict[str, float]:
    """The scale of each tensor that calibration measured.  CompileError for anything else."""
    try:
        found = json.loads(metadata.get(SCALES, "{}"))
    except ValueError:
        found = None
    numbers = isinstance(found, dict) and all(
        type(scale) in (int, float) and math.isfinite(scale) and scale > 0
        for scale in found.values()
    )
    if not isinstance(found, dict) or not numbers:
        raise CompileError(
            "penstock.logit_scales is no object of tensors and their scales", hint="leave it out"
        )
    return {name: float(scale) for name, scale in found.items()}


def scale_properties(scales: Mapping[str, float]) -> dict[str, str]:
    """The metadata that `logit_scales` reads."""
    return {SCALES: json.dumps(dict(scales))} if scales else {}


def dense_behind(net: Net, name: str, makers: Mapping[str, OpNode]) -> OpNode | None:
    """The dense layer whose accumulator a tensor is, plus constants, clipped, in another shape;
    None if it is anything else."""
    node = makers.get(name)
    while node is not None:
        computed = [name for name in node.inputs if name and not _is_constant(net, name, makers)]
        if node.op in ("Gemm", "MatMul") or (node.op == "Conv" and _of_average(net, node, makers)):
            return node
        if node.op not in VIEWS | ACTIVATIONS | {"Add"} or len(computed) != 1:
            return None
        node = makers.get(computed[0])
    return None


def _is_constant(net: Net, name: str, makers: Mapping[str, OpNode]) -> bool:
    """Whether a tensor is a constant, dequantised or not."""
    node = makers.get(name)
    codes = node is not None and node.op == "DequantizeLinear"
    return net.is_constant(node.inputs[0] if node is not None and codes else name)


def _of_average(net: Net, node: OpNode, makers: Mapping[str, OpNode]) -> bool:
    """Whether a convolution reads a global average: then it is a dense layer."""
    source = makers.get(node.inputs[0])
    skipped = VIEWS | ACTIVATIONS | {"QuantizeLinear", "DequantizeLinear"}
    while source is not None and source.op in skipped:
        source = makers.get(source.inputs[0])
    one = math.prod(net.shapes[node.inputs[0]][2:]) == 1
    return one and source is not None and source.op in AVERAGES

"""Refuse attributes that lowering does not look at, unless they have their default."""

import numpy as np
import onnx

from penstock.compiler.importer.net import Net, OpNode

#: What lowering (or a pass before it) reads, or sees by the shapes that ONNX infers, of each
#: operator.  An attribute that is not here changes nothing only while it is ONNX's default.
POOL = frozenset(["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"])
UNDERSTOOD = {
    "AveragePool": POOL | {"count_include_pad"},
    "Celu": frozenset(["alpha"]),
    "Elu": frozenset(["alpha"]),
    "Gelu": frozenset(["approximate"]),
    "HardSigmoid": frozenset(["alpha", "beta"]),
    "LeakyRelu": frozenset(["alpha"]),
    "Selu": frozenset(["alpha", "gamma"]),
    "Shrink": frozenset(["bias", "lambd"]),
    "ThresholdedRelu": frozenset(["alpha"]),
    "BatchNormalization": frozenset(["epsilon", "momentum", "training_mode"]),
    "Cast": frozenset(["to"]),
    "Concat": frozenset(["axis"]),
    "Conv": frozenset(["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]),
    "DepthToSpace": frozenset(["blocksize", "mode"]),
    "DequantizeLinear": frozenset(["axis", "block_size"]),
    "Flatten": frozenset(["axis"]),
    "Gather": frozenset(["axis"]),
    "Gemm": frozenset(["alpha", "beta", "transA", "transB"]),
    "MaxPool": POOL | {"storage_order"},  # that of its second output, which nothing may read
    "QuantizeLinear": frozenset(["axis", "block_size", "output_dtype"]),
    "ReduceMean": frozenset(["axes", "keepdims", "noop_with_empty_axes"]),
    "Reshape": frozenset(["allowzero"]),
    "Resize": frozenset(  # of nearest neighbours; `lower_resize` refuses any other mode
        ["antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside"]
        + ["extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"]
    ),
    "Split": frozenset(["axis", "num_outputs"]),
    "Transpose": frozenset(["perm"]),
    "Upsample": frozenset(["mode", "scales"]),
}


def check_attributes(net: Net) -> Net:
    """The network itself, if lowering understands every attribute of every node.

    Raises:
        CompileError: naming node, attribute and value.
    """
    for node in net.nodes:
        for name in sorted(node.attrs.keys() - UNDERSTOOD.get(node.op, frozenset())):
            if not _is_default(net, node, name):
                raise node.error(
                    f"has {name} = {node.attrs[name]!r}, which the core has not",
                    f"export it without {name}",
                )
    return net


def _is_default(net: Net, node: OpNode, name: str) -> bool:
    """Whether an attribute has the value that ONNX gives it where it is absent."""
    schema = onnx.defs.get_schema(node.op, net.opset)
    default = schema.attributes[name].default_value if name in schema.attributes else None
    if default is None or default.type == onnx.AttributeProto.UNDEFINED:
        return False
    value = onnx.helper.get_attribute_value(default)
    value = value.decode() if isinstance(value, bytes) else value
    return bool(np.array_equal(value, node.attrs[name]))

"""Write a `Net` back as an ONNX model."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from penstock.compiler.importer.ends.attach import attach
from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.importer.onnx_file.load import METADATA_PREFIX
from penstock.compiler.names import FreshNames

IR_VERSION = 10


def to_onnx(net: Net, extra_outputs: tuple[str, ...] = ()) -> onnx.ModelProto:
    """The network as a model for batch size 1, head and tails included; `extra_outputs` are
    tensors to give out too."""
    net = attach(net)
    known = net.results
    names = [*known, *(name for name in extra_outputs if name not in known)]
    fresh = FreshNames(())  # runtimes refuse two nodes of one name, ONNX does not
    graph = helper.make_graph(
        [to_proto(node, fresh(node.name) if node.name else "") for node in net.nodes],
        net.name,
        [_info(net, net.input)],
        [_info(net, name) for name in names],
        [numpy_helper.from_array(array, name) for name, array in net.constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", net.opset)], ir_version=IR_VERSION
    )
    properties = {METADATA_PREFIX + key: value for key, value in net.metadata.items()}
    helper.set_model_props(model, properties)
    return model


def to_proto(node: OpNode, name: str = "") -> onnx.NodeProto:
    """One node, as node `name`."""
    domain, _, op = node.op.rpartition(".")
    proto = helper.make_node(
        op, list(node.inputs), list(node.outputs), name=name, domain=domain or None
    )
    for key, value in node.attrs.items():
        proto.attribute.append(_attribute(node, key, value))
    return proto


def _attribute(node: OpNode, key: str, value: Any) -> onnx.AttributeProto:
    if isinstance(value, np.ndarray):
        return helper.make_attribute(key, numpy_helper.from_array(value))
    if isinstance(value, list) and not value:  # its type is not in its elements
        kind = onnx.defs.get_schema(node.op).attributes[key].type
        return helper.make_attribute(key, value, attr_type=kind.value)
    return helper.make_attribute(key, value)


def _info(net: Net, name: str) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(net.types.get(name, "float32")))
    shape = net.shapes.get(name)
    return helper.make_tensor_value_info(name, kind, None if shape is None else list(shape))

"""Write a `Net` back as an ONNX model."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from penstock.compiler.importer.load import METADATA_PREFIX
from penstock.compiler.importer.net import Net

IR_VERSION = 10


def to_onnx(net: Net, extra_outputs: tuple[str, ...] = ()) -> onnx.ModelProto:
    """The network as a model for batch size 1; `extra_outputs` are tensors to give out too."""
    known = (*net.exits, net.output)
    names = [*known, *(name for name in extra_outputs if name not in known)]
    graph = helper.make_graph(
        [
            helper.make_node(n.op, list(n.inputs), list(n.outputs), name=n.name, **n.attrs)
            for n in net.nodes
        ],
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


def _info(net: Net, name: str) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(net.types.get(name, "float32")))
    return helper.make_tensor_value_info(name, kind, list(net.shapes[name]))

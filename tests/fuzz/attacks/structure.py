"""Graphs that are none: empty, cyclic, with names twice; attributes out of place."""

import onnx
from onnx import helper

from tests.fuzz.attacks.registry import FLOAT, OPSETS, attack, first, network


@attack
def empty_file() -> bytes:
    return b""


@attack
def empty_graph() -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], []), opset_imports=OPSETS)


@attack
def no_nodes() -> onnx.ModelProto:
    image = helper.make_tensor_value_info("x", FLOAT, [1, 1, 4, 4])
    return helper.make_model(helper.make_graph([], "g", [image], [image]), opset_imports=OPSETS)


@attack
def output_that_nobody_makes() -> onnx.ModelProto:
    model = network()
    model.graph.output[0].name = "nowhere"
    return model


@attack
def cycle() -> onnx.ModelProto:
    model = network()
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]
    return model


@attack
def node_that_reads_itself() -> onnx.ModelProto:
    model = network()
    first(model, "Conv").input[0] = first(model, "Conv").output[0]
    return model


@attack
def tensor_made_twice() -> onnx.ModelProto:
    model = network()
    model.graph.node.append(model.graph.node[0])
    return model


@attack
def initializer_twice() -> onnx.ModelProto:
    model = network()
    model.graph.initializer.append(model.graph.initializer[0])
    return model


@attack
def initializer_that_a_node_makes() -> onnx.ModelProto:
    model = network()
    model.graph.initializer[0].name = first(model, "Conv").output[0]
    return model


@attack
def node_without_outputs() -> onnx.ModelProto:
    model = network()
    del first(model, "Conv").output[:]
    return model


@attack
def attribute_twice() -> onnx.ModelProto:
    model = network()
    conv = first(model, "Conv")
    conv.attribute.append(conv.attribute[0])
    return model


@attack
def attribute_of_a_function_outside_one() -> onnx.ModelProto:
    model = network()
    pads = first(model, "Conv").attribute[0]
    pads.ref_attr_name = "p"
    return model


@attack
def no_operator_set() -> onnx.ModelProto:
    model = network()
    del model.opset_import[:]
    return model


@attack
def two_operator_sets() -> onnx.ModelProto:
    model = network()
    model.opset_import.add(domain="ai.onnx", version=13)
    return model


for _what in ("node", "tensor", "attribute", "dimension", "operator_set"):

    def _no_text(what: str = _what) -> bytes:
        """A name that is no UTF-8."""
        model = network()
        node = first(model, "Conv")
        if what == "node":
            node.name = "@@@@"
        elif what == "tensor":
            after = next(n for n in model.graph.node if node.output[0] in n.input)
            node.output[0] = after.input[0] = "@@@@"
        elif what == "dimension":
            model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "@@@@"
        elif what == "operator_set":
            model.opset_import.add(domain="@@@@", version=1)
        else:
            node.attribute[0].name = "@@@@"
        return bytes(model.SerializeToString().replace(b"@@@@", b"\xff\xfe\xfa@"))

    _no_text.__name__ = f"{_what}_named_in_no_encoding"
    attack(_no_text)

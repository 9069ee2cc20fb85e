"""Small files that are deep, endless, or grow when they are unfolded."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.fuzz.attacks.registry import DEEP, FLOAT, OPSETS, attack, between, first, network


def nested(levels: int) -> onnx.GraphProto:
    """An If in an If in an If ..."""
    info = helper.make_empty_tensor_value_info("y")
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "g", [], [info])
    for _ in range(levels):
        node = helper.make_node("If", ["flag"], ["y"], then_branch=graph, else_branch=graph)
        node.attribute[1].g.CopyFrom(
            helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "e", [], [info])
        )
        graph = helper.make_graph([node], "g", [], [info])
    return graph


@attack
def nested_branches() -> onnx.ModelProto:
    model = network()
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "flag"))
    inner = nested(20).node[0]
    inner.output[0] = "new"
    model.graph.node.insert(0, inner)
    return model


@attack
def deeper_than_the_parser_goes() -> bytes:
    """Attribute g -> node -> attribute g ...: each level two length-prefixed fields."""

    def field(number: int, data: bytes) -> bytes:
        size, length = len(data), b""
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    data = b""
    for _ in range(2000):
        data = field(1, field(5, field(6, data)))  # node.attribute.g
    return network().SerializeToString() + field(7, data)


def calls(count: int, doubling: bool) -> onnx.ModelProto:
    """f0 .. fn, each calling the one before it (twice, if `doubling`)."""
    model = network()
    for index in range(count):
        name = f"f{index - 1}"
        if index == 0:
            body = [helper.make_node("Identity", ["x"], ["y"])]
        elif doubling:
            body = [
                helper.make_node(name, ["x"], ["z"], domain="local"),
                helper.make_node(name, ["z"], ["y"], domain="local"),
            ]
        else:
            body = [helper.make_node(name, ["x"], ["y"], domain="local")]
        function = helper.make_function("local", f"f{index}", ["x"], ["y"], body, OPSETS)
        model.functions.append(function)
    model.opset_import.add(domain="local", version=1)
    conv = first(model, "Conv")
    call = helper.make_node(f"f{count - 1}", [conv.input[0]], ["new"], domain="local")
    conv.input[0] = "new"
    at = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Conv")
    model.graph.node.insert(at, call)
    return model


@attack
def functions_that_double() -> onnx.ModelProto:
    return calls(DEEP, doubling=True)


@attack
def functions_in_a_long_chain() -> onnx.ModelProto:
    return calls(5000, doubling=False)


@attack
def function_that_calls_itself() -> onnx.ModelProto:
    model = calls(1, doubling=False)
    model.functions[0].node[0].CopyFrom(helper.make_node("f0", ["x"], ["y"], domain="local"))
    return model


@attack
def functions_that_call_each_other() -> onnx.ModelProto:
    model = calls(2, doubling=False)
    model.functions[0].node[0].CopyFrom(helper.make_node("f1", ["x"], ["y"], domain="local"))
    return model


@attack
def endless_loop() -> onnx.ModelProto:
    """A Loop over constants with 2^62 turns."""
    infos = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("v", FLOAT, [4, 3, 3, 3]),
    ]
    outs = [
        helper.make_tensor_value_info(n, *k)
        for n, k in (("c2", (TensorProto.BOOL, [])), ("v2", (FLOAT, [4, 3, 3, 3])))
    ]
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Neg", ["v"], ["v2"])],
        "body",
        infos,
        outs,
    )
    loop = helper.make_node("Loop", ["turns", "go", "start"], ["new"], body=body)
    values = {"turns": 1 << 62, "go": True, "start": np.ones((4, 3, 3, 3), np.float32)}
    return between(loop, constants=values)

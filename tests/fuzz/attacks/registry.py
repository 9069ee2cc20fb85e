"""Where attacks register themselves, and the networks that they change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.compiler.front.qdq import Qdq
from tests.fuzz.files import SCALE

Attack = Callable[[Path], Path]
ATTACKS: dict[str, Attack] = {}

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
FLOAT = TensorProto.FLOAT
#: More levels or doublings than any machine can follow.
DEEP = 60


def attack(make: Callable[[], Any]) -> Callable[[], Any]:
    """Register what `make` gives: a model, or bytes."""
    name = make.__name__

    def write(folder: Path) -> Path:
        made = make()
        data = made if isinstance(made, bytes) else made.SerializeToString()
        path = folder / "net.onnx"
        path.write_bytes(data)
        return path

    ATTACKS[name] = write
    return make


def setting(make: Attack) -> Attack:
    """Register an attack that needs the folder."""
    ATTACKS[make.__name__] = make
    return make


def network(**change: Any) -> onnx.ModelProto:
    """Image, convolution, quantiser; `change` sets attributes of the convolution."""
    net = Qdq(np.random.default_rng(0))
    return net.model(net.qdq(net.conv(net.image(), 4, name="c", **change), SCALE))


def between(*nodes: onnx.NodeProto, constants: dict[str, Any] | None = None) -> onnx.ModelProto:
    """The network with `nodes` before its convolution, whose input becomes "new"."""
    model = network()
    at = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Conv")
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + offset, node)
    model.graph.node[at + len(nodes)].input[1 if constants else 0] = "new"
    for name, array in (constants or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return model


def first(model: onnx.ModelProto, op: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == op)


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)

"""Scales, types and values that no network has."""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from tests.compiler.front.qdq import Qdq
from tests.fuzz.attacks.registry import FLOAT, attack, constant, first, network
from tests.fuzz.files import SCALE

for _name, _value in {
    "zero": 0.0, "negative": -0.1, "nan": np.nan, "infinite": np.inf,
    "smallest": 1e-45, "largest": 3e38,
}.items():  # fmt: skip
    for _which in (1, 5):

        def _scale(which: int = _which, value: float = _value) -> onnx.ModelProto:
            model = network()
            quantisers = [n for n in model.graph.node if n.op_type.endswith("quantizeLinear")]
            quantisers += [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
            name = quantisers[which % len(quantisers)].input[1]
            tensor = constant(model, name)
            array = np.full(list(tensor.dims), value, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, name))
            return model

        _scale.__name__ = f"scale_{_name}_{_which}"
        attack(_scale)

for _kind in sorted(set(TensorProto.DataType.values()) - {FLOAT}):

    def _typed(kind: int = _kind) -> onnx.ModelProto:
        model = network()
        for tensor in model.graph.initializer:
            tensor.data_type = kind
        return model

    def _typed_image(kind: int = _kind) -> onnx.ModelProto:
        model = network()
        model.graph.input[0].type.tensor_type.elem_type = kind
        return model

    _typed.__name__ = f"weights_of_type_{TensorProto.DataType.Name(_kind)}"
    _typed_image.__name__ = f"image_of_type_{TensorProto.DataType.Name(_kind)}"
    attack(_typed)
    attack(_typed_image)


@attack
def type_that_does_not_exist() -> onnx.ModelProto:
    model = network()
    model.graph.initializer[0].data_type = 1234
    return model


@attack
def image_that_is_a_sequence() -> onnx.ModelProto:
    model = network()
    kind = model.graph.input[0].type
    kind.sequence_type.elem_type.tensor_type.elem_type = FLOAT
    return model


@attack
def strings_as_weights() -> onnx.ModelProto:
    model = network()
    weight = next(t for t in model.graph.initializer if list(t.dims) == [4, 3, 3, 3])
    weight.ClearField("raw_data")
    weight.data_type = TensorProto.STRING
    weight.string_data.extend([b"\xff"] * 108)
    return model


@attack
def infinite_weights() -> onnx.ModelProto:
    net = Qdq(np.random.default_rng(0))
    weight = net.qdq(net.const(np.full((4, 3, 1, 1), np.inf)), 0.01)
    return net.model(net.qdq(net.node("Conv", net.image(), weight), SCALE))


@attack
def zero_point_of_another_shape() -> onnx.ModelProto:
    model = network()
    name = first(model, "QuantizeLinear").input[2]
    constant(model, name).CopyFrom(numpy_helper.from_array(np.zeros((2, 2), np.int8), name))
    return model


@attack
def scale_without_elements() -> onnx.ModelProto:
    model = network()
    name = first(model, "QuantizeLinear").input[1]
    constant(model, name).CopyFrom(numpy_helper.from_array(np.zeros(0, np.float32), name))
    return model


@attack
def weight_without_elements() -> onnx.ModelProto:
    net = Qdq(np.random.default_rng(0))
    weight = net.dequantize(net.const(np.zeros((0, 3, 3, 3)), np.int8), 0.01)
    return net.model(net.qdq(net.node("Conv", net.image(), weight), SCALE))


@attack
def pool_of_nothing() -> onnx.ModelProto:
    net = Qdq(np.random.default_rng(0))
    y = net.node("MaxPool", net.stem(), kernel_shape=[0, 0])
    return net.model(net.qdq(y, SCALE, signed=False))

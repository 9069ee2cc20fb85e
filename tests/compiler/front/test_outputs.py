"""Several outputs, and outputs that are maps: each comes out by its name in the file."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.onnx_session import open_session
from penstock.engines import Memory, mismatches, run_engine
from penstock.program.core.config import CONFIGS
from penstock.program.network.package import Package
from tests.compiler.front.floats import Floats, save
from tests.compiler.front.qdq import Qdq
from tests.compiler.front.test_ends import images_of

Array = Any
Y = 0.04


def by_name(network: CompiledNetwork, images: Array, engine: str = "golden") -> dict[str, Array]:
    return run_engine(engine, network, images, Memory()).by_name


def reference(model: bytes, images: Array) -> list[Array]:
    session = open_session(onnx.load_model_from_string(model))
    name = session.get_inputs()[0].name
    runs = [session.run(None, {name: image[None]}) for image in images]
    return [np.concatenate(each) for each in zip(*runs, strict=True)]


def agree(network: CompiledNetwork, names: list[str], images: Array) -> None:
    """Names, shapes and values of the outputs are the quantised file's; all engines the same."""
    assert network.model is not None
    found = by_name(network, images)
    assert list(found) == names
    for got, want in zip(found.values(), reference(network.model, images), strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype
        np.testing.assert_allclose(got, want, atol=0.08)
    checked = network.check(images).checked
    assert checked is not None and checked.first_wrong is None
    golden = run_engine("golden", network, images, Memory())
    for engine in ("graph", "csim"):
        assert mismatches(golden, run_engine(engine, network, images, Memory())) == 0


def heads(net: Floats) -> list[str]:
    """A map at half the size, one at a quarter, a vector."""
    x = net.relu(net.conv("image", strides=[2, 2]))
    y = net.relu(net.conv(x, strides=[2, 2]))
    return [net.conv(x, 6, kernel=1), net.conv(y, 3), net.head(y)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2), (0, 1), (1,)])
def test_float(order: tuple[int, ...], tmp_path: Path) -> None:
    net = Floats(81, ("N", 4, 8, 8))
    made = heads(net)
    names = [made[index] for index in order]
    images = images_of((4, 8, 8))
    path = save(net.model(*names), tmp_path)
    network = compile_onnx(path, CONFIGS["tiny"], calibration=images)
    agree(network, names, images[:4])


def test_one_that_is_named_twice_has_its_name_once(tmp_path: Path) -> None:
    net = Floats(81, ("N", 4, 8, 8))
    first, _, last = heads(net)
    images = images_of((4, 8, 8))
    path = save(net.model(first, last, first), tmp_path)
    network = compile_onnx(path, CONFIGS["tiny"], calibration=images)
    assert list(by_name(network, images)) == [first, last]


def test_quantised(rng: Any, tmp_path: Path) -> None:
    """With zero points, scales and types of their own, on the simulated core too."""
    net = Qdq(rng, ("N", 3, 8, 8))
    x = net.stem()
    zero = net.const(9, np.uint8)
    a = net.node("QuantizeLinear", net.conv(x, 5), net.const(0.03), zero)
    a = net.node("DequantizeLinear", a, net.const(0.03), zero)
    b = net.qdq(net.conv(net.qdq(net.conv(x, 4, strides=[2, 2]), Y), 2), 0.02)
    model = net.model(a)
    for name in (b, net.classifier(x)):
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    model.graph.node.extend(net.nodes[len(model.graph.node) :])
    model.graph.initializer.extend(net.constants[len(model.graph.initializer) :])
    inferred = onnx.shape_inference.infer_shapes(model)
    network = compile_onnx(save(inferred, tmp_path), CONFIGS["tiny"])
    images = images_of((3, 8, 8), 3)
    agree(network, [output.name for output in model.graph.output], images)
    runs = [run_engine(name, network, images, Memory()) for name in ("golden", "rtl")]
    assert mismatches(*runs) == 0


def test_a_tail_each(tmp_path: Path) -> None:
    """What the host does behind one output it does not do behind the others."""
    net = Floats(82, ("N", 4, 8, 8))
    wide, small, logits = heads(net)
    moved = net.node("Transpose", net.node("Sigmoid", wide), perm=[0, 2, 3, 1])
    names = [moved, small, net.node("Softmax", logits, axis=1), logits]
    images = images_of((4, 8, 8))
    path = save(net.model(*names), tmp_path)
    network = compile_onnx(path, CONFIGS["tiny"], calibration=images)
    agree(network, names, images[:4])
    assert by_name(network, images)[moved].shape == (16, 4, 4, 6)


def test_what_is_read_on_is_an_output_too(tmp_path: Path) -> None:
    """A residual sum is added in place: an output that it destroyed would be wrong."""
    net = Floats(83, ("N", 4, 8, 8))
    x = net.relu(net.conv("image"))
    y = net.relu(net.node("Add", net.conv(x), x))
    names = [x, y, net.head(y)]
    images = images_of((4, 8, 8))
    path = save(net.model(*names), tmp_path)
    agree(compile_onnx(path, CONFIGS["tiny"], calibration=images), names, images[:4])


def test_behind_skipped_blocks(tmp_path: Path, rng: Any) -> None:
    net = Qdq(rng, ("N", 3, 8, 8))
    x = net.stem()
    y = net.node("Mul", net.conv(x, 4), net.gate(net.pool(x), 1))
    y = net.qdq(net.node("Relu", net.node("Add", y, x)), Y, signed=False)
    model = net.model(net.classifier(y))
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(y))
    network = compile_onnx(
        save(onnx.shape_inference.infer_shapes(model), tmp_path), CONFIGS["tiny"]
    )
    images = images_of((3, 8, 8), 4)
    agree(network, [output.name for output in model.graph.output], images)


def test_saved_and_loaded(tmp_path: Path) -> None:
    net = Floats(84, ("N", 4, 8, 8))
    names = heads(net)
    images = images_of((4, 8, 8))
    path = save(net.model(*names), tmp_path)
    package = compile_onnx(path, CONFIGS["tiny"], calibration=images).package
    again = Package.decode(package.encode())
    assert [entry["name"] for entry in again.meta["outputs"]] == names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": 1 << 20}, "an output outside its record"),
        ({"scale": 0.0}, "an output without a name, a place, a type or a scale"),
        ({"shape": [3, 3, 3]}, r"an output of shape \[3, 3, 3\]"),
        ({"zero_point": 300}, "an output with the zero point 300"),
        ({"bits": 12}, "an output with codes of 12 bits"),
        ({"bits": 16, "zero_point": 3}, "an output with codes of 16 bits that are unsigned, or"),
    ],
)
def test_a_program_that_says_it_wrongly(change: Any, message: str, tmp_path: Path) -> None:
    from penstock.program.network.metadata import check_metadata

    net = Floats(85, ("N", 4, 8, 8))
    path = save(net.model(*heads(net)), tmp_path)
    package = compile_onnx(path, CONFIGS["tiny"], calibration=images_of((4, 8, 8))).package
    check_metadata(package.meta, package.n_descriptors)
    package.meta["outputs"][1] |= change
    with pytest.raises(ValueError, match=message):
        check_metadata(package.meta, package.n_descriptors)


def test_several_images_a_run(tmp_path: Path) -> None:
    net = Floats(86, ("N", 4, 8, 8))
    path = save(net.model(*heads(net)), tmp_path)
    with pytest.raises(CompileError, match="3 outputs"):
        compile_onnx(path, CONFIGS["tiny"], calibration=images_of((4, 8, 8)), images=2)


def test_no_output(tmp_path: Path) -> None:
    net = Floats(87, ("N", 4, 8, 8))
    model = net.model(heads(net)[0])
    del model.graph.output[:]
    with pytest.raises(CompileError, match="no output"):
        compile_onnx(save(model, tmp_path), CONFIGS["tiny"], calibration=images_of((4, 8, 8)))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("name", "what"), [("image", "the network's input"), ("k", "a constant")])
def test_an_output_that_nothing_computes(name: str, what: str, first: bool, tmp_path: Path) -> None:
    """Refused by name: without a node before it no shape behind it is known."""
    net = Floats(88, ("N", 4, 8, 8))
    model = net.model(heads(net)[0])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3, np.float32), "k"))
    own = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * 4)
    if name == "k":
        own = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [3])
    model.graph.output.insert(0 if first else 1, own)
    with pytest.raises(CompileError, match=f"the output '{name}' is not computed: it is {what}"):
        compile_onnx(save(model, tmp_path), CONFIGS["tiny"], calibration=images_of((4, 8, 8)))

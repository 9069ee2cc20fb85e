"""torchvision's networks through QAT, export and the compiler: its own where it is installed, and
the same definitions written here (`published.py`)."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from penstock.compiler.importer import import_model
from penstock.compiler.importer.onnx_file.load import infer
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from penstock.compiler.pipeline import compile_graph
from penstock.model.export import export_qat
from penstock.model.quantize import prepare_qat
from penstock.program.core.config import get_config
from penstock.sim.golden import run
from tests.model.qat.published import MobileNetV2, ResNet18

#: The pictures' side: what the network halves five times leaves 2 pixels.
SIDE = 64


def test_parameters_are_those_that_are_published() -> None:
    """11.69 M and 3.50 M, as torchvision's documentation has them."""
    counts = [sum(p.numel() for p in net(1000).parameters()) for net in (ResNet18, MobileNetV2)]
    assert counts == [11_689_512, 3_504_872]


@pytest.mark.parametrize("whose", ["published", "torchvision"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_step_of_training_then_a_program(name: str, whose: str) -> None:
    torch.manual_seed(4)
    if whose == "published":
        net = {"resnet18": ResNet18, "mobilenet_v2": MobileNetV2}[name](num_classes=7)
    else:
        models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
        net = getattr(models, name)(weights=None, num_classes=7)
    images = torch.randn(8, 3, SIDE, SIDE)
    for _ in range(3):  # statistics
        net.train()(images)
    qat = prepare_qat(net.eval(), images[:1])
    qat.calibrate([images])
    optimizer = torch.optim.SGD(qat.parameters(), lr=1e-3)
    F.cross_entropy(qat.train()(images), torch.arange(8) % 7).backward()
    optimizer.step()
    reached = [p.grad is not None and bool(p.grad.any()) for p in qat.parameters()]
    assert np.mean(reached) > 0.9  # all but what dead channels lead to
    model = export_qat(qat.eval())
    graph = import_model(infer(model))
    package = compile_graph(graph, get_config("zcu104"))
    assert package.n_descriptors >= 20
    value = graph.values[graph.input]
    codes = quantize(images.numpy(), value.scale, value.signed)
    values = run_graph(graph, codes)
    step = float(graph.values[graph.output].scale)
    with torch.no_grad():
        expected = qat(images).numpy()
    apart = np.abs(values[graph.output] * np.float32(step) - expected) / step
    assert apart.max() <= 0.08 * 127  # twenty and fifty layers carry steps on
    image = package.meta["input"]
    inputs = np.zeros((2, image["bytes"]), np.uint8)
    inputs[:, : codes[0].size] = codes[:2].reshape(2, -1).view(np.uint8)
    records = run(package, inputs)
    offset = package.meta["output"]["offset"]
    logits = records[:, offset : offset + 7].view(np.int8)
    assert np.array_equal(logits, values[graph.output][:2])

"""torchvision's networks, as they are, through QAT, export and the compiler."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from penstock.compiler.importer import import_model
from penstock.compiler.importer.load import infer
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from penstock.compiler.pipeline import compile_graph
from penstock.model.export import export_qat
from penstock.model.quantize import prepare_qat
from penstock.program.config import get_config
from penstock.sim.golden import run

models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")

#: The pictures' side: what the network halves five times leaves 2 pixels.
SIDE = 64


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_a_step_of_training_then_a_program(name: str) -> None:
    torch.manual_seed(4)
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

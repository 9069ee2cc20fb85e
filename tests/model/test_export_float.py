"""The floating-point export: onnxruntime agrees with PyTorch; calibration quantises it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float, quantize_float
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from penstock.model import ResNetConfig, build_float_onnx, random_images
from penstock.model.networks.resnet import ResNet
from penstock.model.quantize.random_network import random_float_network
from tests.model.test_export import FORMS, run


def network(form: str) -> ResNet:
    usual = {"widths": (12, 20, 36), "in_channels": 3, "input_size": (24, 20)}
    return random_float_network(ResNetConfig(**{**usual, **FORMS[form]}), keep_blocks=0.8, seed=1)


@pytest.mark.parametrize("form", FORMS)
def test_agrees_with_onnxruntime(form: str) -> None:
    net = network(form)
    x = random_images(net.config, 8, torch.Generator().manual_seed(9))
    with torch.no_grad():
        logits = net(x)[0].numpy()
    model = build_float_onnx(net, {"seed": "1"})
    np.testing.assert_allclose(run(model, x), logits, rtol=1e-3, atol=1e-3)
    assert not {"QuantizeLinear", "DequantizeLinear"} & {n.op_type for n in model.graph.node}
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["penstock.network"] == net.config.name
    assert properties["penstock.seed"] == "1"


@pytest.mark.parametrize("form", FORMS)
def test_calibration_quantises_it(form: str, tmp_path: Path) -> None:
    """Tolerance: a tenth of the logits' range; every gate is recognised."""
    net, path = network(form), tmp_path / "float.onnx"
    onnx.save(build_float_onnx(net), path)
    x = random_images(net.config, 32, torch.Generator().manual_seed(9))
    graph = import_float(path, x.numpy())
    with torch.no_grad():
        logits, _ = net(x)
    gates = sum(isinstance(node, ir.Gate) for node in graph.nodes)
    per_block = {"lc": 1 + net.config.gated_convs, "l": 1, "c": net.config.gated_convs, "none": 0}
    assert gates == per_block[net.config.gates] * len(net.blocks)
    source, output = graph.values[graph.input], graph.values[graph.output]
    codes = run_graph(graph, quantize(x.numpy(), source.scale, source.signed))[graph.output]
    error = np.abs(codes * output.scale - logits.numpy()).max()
    print(f"largest error: {error / np.ptp(logits.numpy()):.3f} of the range")
    assert error <= 0.1 * np.ptp(logits.numpy())


def test_the_quantised_model_holds_nothing_it_does_not_use(tmp_path: Path) -> None:
    net, path = network("basic"), tmp_path / "float.onnx"
    onnx.save(build_float_onnx(net), path)
    x = random_images(net.config, 2, torch.Generator().manual_seed(9)).numpy()
    graph = quantize_float(path, x).graph
    used = {name for node in graph.node for name in node.input}
    assert [tensor.name for tensor in graph.initializer if tensor.name not in used] == []

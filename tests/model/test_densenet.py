"""DenseNet: counts, geometry, and one network in PyTorch, onnxruntime and every engine."""

import re
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.report import build_report
from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Concat
from penstock.compiler.pipeline import compile_graph
from penstock.model import DenseNetConfig, ModelError, build_onnx, random_images, random_network
from penstock.model.macs.count import layer_macs
from penstock.model.networks.registry import parse_any
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.model.test_export import LOGIT_TOLERANCE, run

SMALL = [
    DenseNetConfig(
        layers=(3, 2),
        growth=4,
        stem=6,
        stem_kernel=3,
        stem_stride=1,
        in_channels=1,
        input_size=(8, 8),  # as the digits
    ),
    DenseNetConfig(
        layers=(2, 1),
        growth=5,
        width=1,
        stem=7,
        transition_last=True,
        input_size=(19, 16),
        classes=4,
    ),
]


def norms(config: DenseNetConfig) -> int:
    """Outputs of the batch norms that follow no convolution: layers of `macs_bn` alone."""
    plain = layer_macs(config)
    return sum(n for name, n in layer_macs(config, "macs_bn").items() if name not in plain)


def test_macs() -> None:
    """ACS has 0.06965 GFLOPs for DenseNet-41: unverified.  69.57 M is all but the stem, without a
    transition behind the last block; the other forms that its text allows are further away."""
    config = DenseNetConfig()
    counts = layer_macs(config)
    stem = counts.pop("stem.conv")
    assert (stem, sum(counts.values())) == (49 * 3 * 64 * 256, 69_569_984)
    both = layer_macs(DenseNetConfig(transition_last=True))
    assert sum(both.values()) - stem == 70_559_456
    assert sum(layer_macs(parse_any("densenet53")).values()) - stem == 102_797_856
    assert norms(config) == 415_744


def test_geometry() -> None:
    config = parse_any("densenet41")
    assert config == DenseNetConfig() and parse_any("densenet53").layers == (8, 8, 8)
    assert [(b.in_channels, b.channels, b.size) for b in config.blocks()] == [
        (64, 256, (16, 16)),
        (128, 320, (8, 8)),
        (160, 352, (4, 4)),
    ]
    # The depth counts a transition behind each block, and the classifier.
    assert len(layer_macs(DenseNetConfig(transition_last=True))) == 41  # the classifier is one
    assert len(layer_macs(config)) == 39 + 1
    with pytest.raises(ModelError, match=re.escape("unknown network 'densenet121' (one of dense")):
        parse_any("densenet121")
    with pytest.raises(ModelError, match="layers in every block"):
        DenseNetConfig(layers=(3, 0))


@pytest.fixture(params=SMALL, ids=["digits", "transitions"])
def exported(request: Any, tmp_path: Any) -> tuple[DenseNetConfig, Any, onnx.ModelProto, Any]:
    net = random_network(request.param, seed=3, images=16)
    model = build_onnx(net)
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path))
    return request.param, net, model, import_onnx(path)


def test_every_engine_has_the_same_network(exported: Any) -> None:
    """PyTorch's quantised network, onnxruntime, the integer graph; golden == csim == rtl."""
    config, net, model, graph = exported
    images = random_images(config, 24, torch.Generator().manual_seed(9))
    with torch.no_grad():
        expected = net(images)[0].numpy()
    step = float(net.scale("fc"))
    assert np.abs(run(model, images) - expected).max() <= LOGIT_TOLERANCE * step * 1.001
    package = compile_graph(graph, get_config("tiny"))
    compiled = CompiledNetwork(package=package, graph=graph)
    inputs = compiled.quantize_input(images.numpy())
    records = compiled.run_graph(inputs)
    logits = compiled.decode_output(records).logits
    assert np.abs(logits - expected).max() <= LOGIT_TOLERANCE * step * 1.001
    assert len(np.unique(logits)) > 10
    for engine in (golden, CsimCore("tiny"), RtlCore("tiny")):
        got = engine.run(package, inputs)
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], records[:, COUNTER_BYTES:])


def test_macs_are_those_of_the_program(exported: Any) -> None:
    config, _, _, graph = exported
    report = build_report(compile_graph(graph, get_config("tiny")))
    assert report["macs"]["dense"] == sum(layer_macs(config).values()) + norms(config)


def test_a_block_is_one_row(exported: Any) -> None:
    """Every Concat is an address: nothing is copied."""
    config, _, _, graph = exported
    concats = build_report(compile_graph(graph, get_config("tiny")))["concats"]
    assert concats["copies"]["descriptors"] == 0
    assert [len(parts) for parts in concats["rows"].values()] == [n + 1 for n in config.layers]
    scales = {
        tuple(graph.values[name].scale for name in node.inputs)
        for node in graph.nodes
        if isinstance(node, Concat)
    }
    assert all(len(set(row)) == 1 for row in scales)
    assert run_graph(graph, np.zeros((1, *graph.values[graph.input].shape), np.int8))


@pytest.mark.parametrize(("name", "used"), [("densenet41", 131_072), ("densenet53", 163_840)])
def test_published_networks_fit_the_z7020(name: str, used: int, tmp_path: Any) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(build_onnx(random_network(parse_any(name), images=4)), str(path))
    report = build_report(compile_graph(import_onnx(path), get_config("z7020")))
    assert report["feature_bytes"]["used"] == used

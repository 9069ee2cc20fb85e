"""VGG16-BN and MobileNetV2: the papers' counts, geometry, and their export against onnxruntime."""

import re
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from penstock.compiler.pipeline import compile_graph
from penstock.model import ModelError, build_onnx, random_images, random_network
from penstock.model.macs.count import layer_macs
from penstock.model.networks.mobilenet import MobileNetConfig
from penstock.model.networks.registry import AnyConfig, parse_any
from penstock.model.networks.vgg import VggConfig
from penstock.program.core.config import get_config
from penstock.sim import golden
from tests.model.test_export import LOGIT_TOLERANCE, run

SMALL: list[AnyConfig] = [
    VggConfig(stages=((6, 2), (10, 1)), input_size=(9, 8), classes=4),
    MobileNetConfig(
        stages=((1, 5, 1, 1), (3, 6, 2, 1), (2, 8, 2, 2)),
        stem=7,
        head=20,
        input_size=(10, 9),
        classes=4,
    ),
    MobileNetConfig(
        stages=((1, 5, 1, 1), (3, 6, 2, 1)),
        stem=7,
        head=20,
        shortcut_convs=True,
        input_size=(6, 7),
        classes=4,
    ),
]


# Shared papers' counts in millions, `macs`: S2DNAS has 313M and 91M.
@pytest.mark.parametrize(
    ("name", "macs", "published"),
    [
        ("vgg16", 313_201_664, "313.20"),
        ("mobilenetv2", 87_976_448, "87.98"),
        ("mobilenetv2-shortcuts", 91_154_944, "91.15"),
    ],
)
def test_macs(name: str, macs: int, published: str) -> None:
    counts = layer_macs(parse_any(name))
    assert sum(counts.values()) == macs
    assert f"{macs / 1e6:.2f}" == published


def test_geometry_of_mobilenetv2() -> None:
    units = MobileNetConfig().units()
    assert len(units) == 1 + 17 + 1
    assert [len(unit.convs) for unit in units] == [1, 2, *[3] * 16, 1]
    assert sum(unit.residual for unit in units) == 10
    depthwise = [conv for conv in MobileNetConfig().convs() if conv.groups > 1]
    assert all(conv.groups == conv.in_channels == conv.channels for conv in depthwise)
    assert {conv.out_size[0] for conv in depthwise} == {32, 16, 8, 4}
    assert units[-1].convs[0].channels == 1280
    assert (
        sum(unit.shortcut is not None for unit in parse_any("mobilenetv2-shortcuts").units()) == 4
    )


def test_unknown_name() -> None:
    with pytest.raises(ModelError, match=re.escape("unknown network 'vgg19' (one of vgg16")):
        parse_any("vgg19")


@pytest.fixture(params=SMALL, ids=lambda config: config.name)
def exported(request: Any) -> tuple[AnyConfig, Any, onnx.ModelProto]:
    config = request.param
    net = random_network(config, seed=3, images=16)
    return config, net, build_onnx(net)


def test_every_engine_has_the_same_network(exported: Any, tmp_path: Any) -> None:
    """PyTorch's quantised network, onnxruntime, the integer graph, and golden."""
    config, net, model = exported
    images = random_images(config, 24, torch.Generator().manual_seed(9))
    with torch.no_grad():
        expected = net(images)[0].numpy()
    step = float(net.scale("fc"))
    assert np.abs(run(model, images) - expected).max() <= LOGIT_TOLERANCE * step * 1.001
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path))
    graph = import_onnx(path)
    source = graph.values[graph.input]
    codes = quantize(images.numpy(), source.scale, source.signed)
    logits = run_graph(graph, codes)[graph.output]
    assert np.abs(logits * step - expected).max() <= LOGIT_TOLERANCE * step * 1.001
    assert len(np.unique(logits)) > 10
    package = compile_graph(graph, get_config("tiny"))
    inputs = np.zeros((len(codes), package.meta["input"]["bytes"]), np.uint8)
    flat = codes.reshape(len(codes), -1).view(np.uint8)
    inputs[:, : flat.shape[1]] = flat
    records = golden.run(package, inputs)
    at = package.meta["output"]["offset"]
    np.testing.assert_array_equal(records[:, at : at + 4].view(np.int8), logits)


def test_units_that_are_added_share_a_scale(exported: Any) -> None:
    config, _, model = exported
    scales = {t.name for t in model.graph.initializer if t.name.startswith("scales.")}
    inner = sum(len(unit.convs) - 1 for unit in config.units())
    own = sum(not unit.residual for unit in config.units())
    assert len(scales) == inner + own + 3  # the image's, the average's, the logits'

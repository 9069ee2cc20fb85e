"""Export of split networks: stages in a row, joined maps, one scale a layer, the same logits."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize
from penstock.model import build_float_onnx, build_onnx, random_images, random_network
from penstock.model.errors import ConfigError
from penstock.model.macs.count import layer_macs
from penstock.model.networks.mobilenet import MobileNetConfig
from penstock.model.networks.registry import AnyConfig, parse_any
from penstock.model.networks.vgg import VggConfig
from penstock.model.plans.split import parse_split
from penstock.model.quantize.random_network import random_float_network
from penstock.model.stages.split import exit_macs, split_convs, stage_layer_macs
from tests.model.test_split import CONFIG

BACKBONES: list[AnyConfig] = [
    VggConfig(
        stages=((8, 2), (12, 1), (12, 2)),
        input_size=(12, 9),
        classes=4,
        split=parse_split("4: 1,3/101 2,3/111 1,2/010"),
    ),
    *(
        MobileNetConfig(
            stages=((1, 8, 1, 1), (3, 12, 2, 1), (2, 16, 2, 2)),
            stem=8,
            head=20,
            shortcut_convs=shortcuts,
            input_size=(10, 9),
            classes=4,
            split=parse_split("4: 1,3/101 2,3/111"),
        )
        for shortcuts in (False, True)
    ),
]
FORMS = {
    "mixed reuse": {},
    "no reuse": {"split": parse_split("4: 1,3/000 2,3/000 1,2/000")},
    "two stages": {"split": parse_split("4: 1/1 3/0 2/1")},
    "all but one": {"split": parse_split("4: 1,2,3/111111 1,2,3/111111 1,2,3/011110")},
    "bottleneck": {"depth": 11, "block": "bottleneck"},
}


@pytest.mark.parametrize("form", FORMS)
def test_onnxruntime_has_the_networks_logits(form: str) -> None:
    """Of every stage, within two steps (one rounding tie may carry so far)."""
    config = replace(CONFIG, **FORMS[form])
    net = random_network(config, seed=1)
    images = random_images(config, 16, torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits, _ = net(images)
    expected = [each.numpy() for each in (*net.early, logits)]
    model = build_onnx(net)
    names = [output.name for output in model.graph.output]
    assert names == [*(f"exit{index}" for index in range(config.early_exits)), "logits"]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for name, mine in zip(names, expected, strict=True):
        (theirs,) = session.run([name], {"input": images.numpy()})
        scale = net.scale("fc") if name == "logits" else net.scale("heads.0")
        assert np.abs(mine - theirs).max() <= 2.01 * float(scale)
        assert len(np.unique(mine.round(4), axis=0)) > 8  # it tells images apart


@pytest.mark.parametrize("config", BACKBONES, ids=lambda config: config.name)
def test_onnxruntime_has_the_backbones_logits(config: AnyConfig) -> None:
    net = random_network(config, seed=1)
    images = random_images(config, 16, torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits, _ = net(images)
    session = onnxruntime.InferenceSession(build_onnx(net).SerializeToString())
    names = ["exit0", "exit1", "logits"]
    found = session.run(names, {"input": images.numpy()})
    for name, mine, theirs in zip(names, [*net.early, logits], found, strict=True):
        scale = net.scale("fc") if name == "logits" else net.scale("heads.0")
        assert np.abs(mine.numpy() - theirs).max() <= 2.01 * float(scale)
        assert len(np.unique(theirs.round(4), axis=0)) > 8
    whole = sum(layer_macs(config).values())
    macs = exit_macs(config)
    assert macs == sorted(macs) and macs[-1] < whole + 2 * 20 * config.classes


def test_backbones_by_name() -> None:
    """Even stages of every network; of VGG16-BN they leave three quarters of the MACs."""
    for name in ("vgg16", "mobilenetv2", "mobilenetv2-shortcuts"):
        config = parse_any(f"s2d-{name}")
        assert config.name == f"s2d-{name}" and config.early_exits == 2
        macs, whole = exit_macs(config), sum(layer_macs(config).values())
        assert 0.1 * whole < macs[0] < macs[1] < macs[2] < 0.75 * whole
    with pytest.raises(ConfigError, match="a split of 5 resolutions for 4"):
        replace(parse_any("mobilenetv2"), split=parse_any("s2d-vgg16").split)
    with pytest.raises(ConfigError, match="10 channels cannot be cut"):
        VggConfig(stages=((10, 1),), split=parse_split("4: 1/1"))


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build_onnx(random_network(CONFIG, seed=3))


def test_stages_follow_each_other(model: onnx.ModelProto) -> None:
    """Stage 1 to its classifier, then stage 2: an image that ends early needs nothing behind."""
    order = [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    stages = [name.split(".")[0] for name in order]
    convs = len(split_convs(CONFIG))
    assert stages == [
        *(["s1"] * convs + ["exit0"]),
        *(["s2"] * convs + ["exit1"]),
        *(["s3"] * convs + ["classifier"]),
    ]


def test_weights_are_live_links_only(model: onnx.ModelProto) -> None:
    """Shapes, MACs, and a Concat wherever a layer reads several stages, its own last."""
    shapes = {t.name: list(t.dims) for t in model.graph.initializer}
    macs = Counter()
    for name, conv in split_convs(CONFIG).items():
        for stage in range(3):
            kernel = conv.plan.kernel
            shape = [len(conv.outputs[stage]), len(conv.reads(stage)), kernel, kernel]
            assert shapes[f"s{stage + 1}.{name}.weight"] == shape
            pixels = conv.plan.out_size[0] * conv.plan.out_size[1]
            macs[stage] += int(np.prod(shape)) * pixels
    heads = [stage_layer_macs(CONFIG, stage)["classifier.fc"] for stage in range(3)]
    assert sum(macs.values()) + sum(heads) == exit_macs(CONFIG)[-1]
    nodes = {node.name: node for node in model.graph.node}
    concat = nodes["s3.stage0.block0.conv1.concat"]  # reuse 101: m12 and m23
    assert list(concat.input) == [f"s{n}.stem.conv.dequantize_output" for n in (2, 3)]
    assert "s1.stage0.block0.conv1.concat" not in nodes
    assert len(nodes["classifier.fc.concat"].input) == 3
    assert len(nodes["exit1.fc.concat"].input) == 2


def test_parts_of_a_map_have_one_scale(model: onnx.ModelProto) -> None:
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    producer = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type == "Concat":
            assert len({tuple(producer[part].input[1:]) for part in node.input}) == 1
            assert node.attribute[0].i == 1
            assert tensors[producer[node.input[0]].input[2]].dtype == np.uint8


def test_integers_of_the_compiler_agree(tmp_path: Path) -> None:
    """The imported graph, in exact integers, has the logits within a step, stage by stage."""
    net = random_network(CONFIG, seed=5)
    path = tmp_path / "net.onnx"
    onnx.save(build_onnx(net, {"thresholds": "0.5,0.5"}), path)
    images = random_images(CONFIG, 16, torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits, _ = net(images)
    graph = import_onnx(path)
    image = graph.values[graph.input]
    values = run_graph(graph, quantize(images.numpy(), image.scale, image.signed))
    names = [leave.logits for leave in graph.exits] + [graph.output]
    for name, mine in zip(names, [*net.early, logits], strict=True):
        steps = mine.numpy() / graph.values[name].scale
        assert np.abs(values[name] - steps).max() <= 2.01


def test_float_export_has_missing_links_at_zero() -> None:
    net = random_float_network(CONFIG, seed=6)
    images = random_images(CONFIG, 4, torch.Generator().manual_seed(2))
    session = onnxruntime.InferenceSession(build_float_onnx(net).SerializeToString())
    (found,) = session.run(["logits"], {"input": images.numpy()})
    with torch.no_grad():
        logits, _ = net(images)
    assert np.allclose(found, logits.numpy(), atol=1e-4)

"""The exported graph: format, pattern, scales, and agreement with onnxruntime."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from penstock.model import QuantNetwork, ResNetConfig, build_onnx, random_images, random_network
from penstock.model.macs.count import kept

# One value may fall on the other side of a rounding tie in onnxruntime; what follows can
# carry that to the logits.
LOGIT_TOLERANCE = 2  # steps of the logits' scale


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """All initialisers by name."""
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def nodes(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """All nodes by name."""
    return {node.name: node for node in model.graph.node}


def run(model: onnx.ModelProto, x: torch.Tensor) -> np.ndarray:
    """Logits from onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"input": x.numpy()})[0]


@pytest.fixture(scope="module")
def model(odd_network: QuantNetwork) -> onnx.ModelProto:
    """The odd-sized network, exported."""
    return build_onnx(odd_network, {"seed": "1"})


def test_format(model: onnx.ModelProto) -> None:
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert model.ir_version <= 13
    dims = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["N", 3, 24, 20]
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties == {
        "penstock.network": "lcnet-resnet8",
        "penstock.schedule": "sequential",
        "penstock.seed": "1",
    }


def test_schedule_is_recorded_and_changes_nothing_else(odd_config: ResNetConfig) -> None:
    graphs, schedules = [], []
    for schedule in ("sequential", "parallel"):
        config = ResNetConfig(widths=odd_config.widths, schedule=schedule)  # type: ignore[arg-type]
        exported = build_onnx(random_network(config))
        graphs.append(exported.graph.SerializeToString())
        schedules += [p.value for p in exported.metadata_props if p.key == "penstock.schedule"]
    assert schedules == ["sequential", "parallel"]
    assert graphs[0] == graphs[1]


def test_only_the_operators_of_the_pattern(model: onnx.ModelProto) -> None:
    count = Counter(node.op_type for node in model.graph.node)
    del count["QuantizeLinear"], count["DequantizeLinear"]
    assert count == {
        "Conv": 1 + 3 * 2 + 2,
        "Relu": 1 + 3 * 2,
        "Mul": 3 * 2,
        "Add": 3,
        "GlobalAveragePool": 3 + 1,  # one a block, shared by its gates
        "Flatten": 3 + 1,
        "Gemm": 3 * 2 + 1,
        "Clip": 3 * 2,
        "Reshape": 3 * 2,
    }


def test_nothing_is_rounded_between_convolution_and_score(model: onnx.ModelProto) -> None:
    producer = {node.output[0]: node for node in model.graph.node}
    for name in ("stage0.block0", "stage1.block0", "stage2.block0"):
        chain, node = [], nodes(model)[f"{name}.conv2.quantize"]
        while node.name != f"{name}.conv1":
            node = producer[node.input[0]]
            chain.append(node.op_type)
        assert chain == [
            *("Relu", "Add", "Mul", "Conv", "DequantizeLinear"),
            *("QuantizeLinear", "Mul", "Relu", "Conv"),
        ]


def test_one_scale_along_each_chain() -> None:
    config = ResNetConfig(depth=14, widths=(4, 6, 8))
    exported = build_onnx(random_network(config, seed=5))
    table, by_name = initializers(exported), nodes(exported)
    scales = []
    for stage in range(3):
        names = [f"stage{stage}.block{b}.conv2" for b in range(2)]
        names += ["stem.conv"] if stage == 0 else [f"stage{stage}.block0.shortcut"]
        ends = [by_name[f"{n}.{end}"] for n in names for end in ("quantize", "dequantize")]
        assert len({end.input[1] for end in ends}) == 1
        signed = {n: by_name[f"{n}.quantize"].input[2] for n in names}
        for n, zero in signed.items():
            assert table[zero].dtype == (np.int8 if n.endswith("shortcut") else np.uint8)
        scales.append(float(table[ends[0].input[1]]))
    assert len(set(scales)) == 3


def test_integer_formats(model: onnx.ModelProto) -> None:
    table = initializers(model)
    for name, value in table.items():
        if "zero" in name:
            assert not value.any()
        elif name.endswith(".weight"):
            assert value.dtype == np.int8
            assert value.min() >= -127
            assert table[f"{name}_scale"].shape == value.shape[:1]
        elif name.endswith(".bias"):
            assert value.dtype == np.int32
    for node in model.graph.node:
        if node.name.endswith(".score.quantize"):
            assert table[node.input[1]] == 1 / 128
            assert table[node.input[2]].dtype == np.uint8
    in_scale, weight_scale = table["scales.conv"], table["stage0.block0.conv1.weight_scale"]
    assert np.array_equal(table["stage0.block0.conv1.bias_scale"], in_scale * weight_scale)


def test_dead_channel_keeps_its_bias_in_int32() -> None:
    net = random_network(ResNetConfig(widths=(4, 6, 8)))
    with torch.no_grad():
        stem = net.layer("conv")
        stem.weight[1] = 0.0
        stem.bias[1] = 0.25
    table = initializers(build_onnx(net))
    step = table["stem.conv.bias_scale"][1]
    assert table["stem.conv.bias"][1] * step == pytest.approx(0.25, rel=1e-6)
    assert abs(int(table["stem.conv.bias"][1])) <= 2**22 + 1


# Every form of block, stem, shortcut and gates, in odd sizes.
FORMS: dict[str, dict[str, Any]] = {
    "basic": {},
    "plain": {"gates": "none"},
    "block gates": {"gates": "l"},
    "channel gates": {"gates": "c"},
    "identity shortcuts": {"shortcuts": "identity"},
    "centred shortcuts": {"shortcuts": "centred"},
    "parallel": {"schedule": "parallel"},
    "four stages": {"depth": 10, "widths": (8, 12, 16, 20)},
    "bottleneck": {"depth": 11, "block": "bottleneck"},
    "two gated convolutions": {"depth": 11, "block": "bottleneck", "gated_convs": 2},
    "bottleneck, block gates": {"depth": 11, "block": "bottleneck", "gates": "l"},
    "imagenet": {
        "depth": 17,
        "block": "bottleneck",
        "blocks": (2, 1, 1, 1),
        "widths": (8, 12, 16, 20),
        "stem": "imagenet",
        "input_size": (45, 38),
        "classes": 23,
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_agrees_with_onnxruntime_on_odd_sizes(odd_config: ResNetConfig, form: str) -> None:
    usual = {"widths": (12, 20, 36), "in_channels": 3, "input_size": odd_config.input_size}
    config = ResNetConfig(**{**usual, **FORMS[form]})
    net = random_network(config, keep_blocks=0.8, seed=1)
    x = random_images(config, 32, torch.Generator().manual_seed(9))
    with torch.no_grad():
        logits = net(x)[0].numpy()
    steps = np.abs(run(build_onnx(net), x) - logits) / float(net.scale("fc"))
    print(f"largest difference: {steps.max():.2f} steps of the logits")
    assert steps.max() <= LOGIT_TOLERANCE + 1e-3
    assert len(np.unique(logits.round(4), axis=0)) == 32  # the network tells images apart


def test_resnet20_exports_and_keeps_the_requested_share() -> None:
    config = ResNetConfig(depth=20, in_channels=3, input_size=(32, 32))
    net = random_network(config, keep_channels=0.3, keep_blocks=0.7, seed=2)
    x = random_images(config, 64, torch.Generator().manual_seed(9))
    with torch.no_grad():
        _, scores = net(x)
    channels = torch.stack([kept(s.channels).float().mean() for s in scores])
    blocks = torch.stack([kept(s.block).float().mean() for s in scores])
    assert float(channels.mean()) == pytest.approx(0.3, abs=0.08)
    assert float(blocks.mean()) == pytest.approx(0.7, abs=0.1)
    exported = build_onnx(net)
    assert sum(node.op_type == "Conv" for node in exported.graph.node) == 1 + 9 * 2 + 2


@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_random_network_with_all_gates_open_or_closed(keep: float) -> None:
    config = ResNetConfig(widths=(4, 6, 8))
    net = random_network(config, keep_channels=keep, keep_blocks=keep, seed=2)
    with torch.no_grad():
        _, scores = net(random_images(config, 64, torch.Generator().manual_seed(9)))
    for score in scores:
        assert float(kept(score.channels).float().mean()) == pytest.approx(keep, abs=0.08)
        assert float(kept(score.block).float().mean()) == pytest.approx(keep, abs=0.08)


def test_random_network_is_reproducible(odd_config: ResNetConfig, model: onnx.ModelProto) -> None:
    again = random_network(odd_config, keep_channels=0.5, keep_blocks=0.8, seed=1)
    assert build_onnx(again, {"seed": "1"}).SerializeToString() == model.SerializeToString()
    other = random_network(odd_config, keep_channels=0.5, keep_blocks=0.8, seed=2)
    assert build_onnx(other, {"seed": "1"}).SerializeToString() != model.SerializeToString()


def test_skipped_block_is_its_input_in_place(odd_network: QuantNetwork, tmp_path: Path) -> None:
    gate = odd_network.layer("blocks.0.lnet.fc")
    bias, chain = gate.bias.detach().clone(), []
    quantizer = odd_network.layer("scales.conv")
    hook = quantizer.register_forward_hook(lambda module, given, made: chain.append(made))
    with torch.no_grad():
        gate.bias.fill_(-1e3)
        _, scores = odd_network(random_images(odd_network.config, 2, torch.Generator()))
        gate.bias.copy_(bias)
    hook.remove()
    assert not scores[0].block.any() and len(chain) == 2
    assert torch.equal(*chain) and chain[0].any()

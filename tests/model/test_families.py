"""Gate families: their networks' geometry, training through binary scores, and both exports."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from penstock.compiler import ir
from penstock.compiler.calibration.run import import_float
from penstock.model import (
    ResNetConfig,
    TrainConfig,
    build_float_onnx,
    build_onnx,
    load_checkpoint,
    random_images,
    random_network,
    train_network,
)
from penstock.model.checkpoint.file import Checkpoint, save_checkpoint
from penstock.model.gates.families import FAMILIES, gate_networks
from penstock.model.gates.network import GateNet
from penstock.model.gates.score import binary_score
from penstock.model.macs.count import dense_macs, executed_macs, executed_share, gate_layer_macs
from penstock.model.networks.registry import build_any
from penstock.model.networks.resnet_config import parse_resnet
from penstock.model.plans.network import block_plans
from penstock.model.quantize.random_network import random_float_network
from penstock.model.quantize.twin import gate_parameters
from penstock.model.train.pressure import GatePressure
from tests.model.test_export import LOGIT_TOLERANCE, run

SMALL = {"depth": 14, "widths": (4, 6, 8), "in_channels": 2, "input_size": (8, 6), "classes": 4}


BINARY = [gates for gates in FAMILIES if gates != "fbs"]
# A quarter of them, to be put into groups.
WIDTHS = {gates: {"widths": (16, 32, 16)} for gates in ("acsdg", "acsdg-se")}


def small(gates: str, **changes: object) -> ResNetConfig:
    return ResNetConfig(**{**SMALL, "gates": gates, **WIDTHS.get(gates, {}), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("gates", FAMILIES)
def test_networks_have_names(gates: str) -> None:
    config = parse_resnet(f"{gates}-resnet14")
    assert (config.gates, config.depth, config.name) == (gates, 14, f"{gates}-resnet14")
    assert config.gated


@pytest.mark.parametrize(("gates", "cost"), [("skipnet1", 737_280), ("skipnet2", 589_824)])
def test_skipnet_gates_cost_what_the_authors_say(gates: str, cost: int) -> None:
    """Beside a block of 4.719 M MACs: 0.737 M and 0.590 M, without the last layer."""
    config = parse_resnet(f"{gates}-resnet38")
    gate = next(gate for gate in gate_networks(config) if gate.name == "stage0.block1.gate")
    assert sum(conv.macs for conv in block_plans(config)[1].convs) == 4_718_592
    assert sum(conv.macs for conv in gate.convs) == cost
    assert gate_layer_macs(config)["stage0.block1.gate.fc"] == 16


def test_skipnet_leaves_the_first_block_alone() -> None:
    names = [gate.name for gate in gate_networks(small("skipnet2"))]
    assert names == [f"stage{s}.block{b}.gate" for s in range(3) for b in range(2)][1:]


def test_blockdrop_has_one_network_for_all_blocks() -> None:
    (policy,) = gate_networks(small("blockdrop"))
    assert (policy.name, policy.outputs, policy.convs[0].in_channels) == ("policy", 6, 2)


def test_acs_masks_every_convolution_whose_channels_can_be_skipped() -> None:
    gates = {gate.name: gate for gate in gate_networks(small("acs"))}
    assert [name for name in gates if name.startswith("stage1")] == [
        *("stage1.block0.gate1", "stage1.block1.gate1", "stage1.block1.gate2")
    ]
    gate = gates["stage1.block0.gate1"]  # on 4 x 8 x 6, masks 6 channels
    assert [(c.kernel, c.channels, c.stride) for c in gate.convs] == [
        (1, 1, 1),
        (3, 1, 2),
        (3, 1, 1),
    ]
    assert (gate.convs[-1].out_size, gate.outputs) == ((4, 3), 6)


def test_binary_scores_train_straight_through() -> None:
    z = torch.tensor([-2.0, 0.0, 1e-6, 3.0], requires_grad=True)
    assert binary_score(z, training=False).tolist() == [0.0, 0.0, 1.0, 1.0]
    score = binary_score(z, training=True)
    assert score.tolist() == [0.0, 0.0, 1.0, 1.0]
    score.sum().backward()
    assert z.grad is not None
    sigmoid = torch.sigmoid(z.detach())
    assert torch.allclose(z.grad, sigmoid * (1 - sigmoid))


@pytest.mark.parametrize("gates", BINARY)
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_resource_term_is_the_share_of_executed_macs(gates: str, block: str) -> None:
    config = small(gates, block=block, depth=14 if block == "basic" else 20)
    net = random_network(config, keep_blocks=0.6, seed=2)
    _, scores = net(random_images(config, 16, torch.Generator().manual_seed(1)))
    share = executed_share(config, scores)
    count = executed_macs(config, scores)
    assert float(share) == pytest.approx(float(count.backbone.double().mean()) / dense_macs(config))
    assert 0 < float(share) < 1
    open_scores = [type(s)(torch.ones_like(s.block), torch.ones_like(s.channels)) for s in scores]
    assert float(executed_share(config, open_scores)) == pytest.approx(1.0)


@pytest.mark.parametrize("gates", [gates for gates in FAMILIES if gates != "moe"])
def test_resource_term_reaches_every_gate(gates: str) -> None:
    net = build_any(small(gates), seed=0).train()
    _, scores = net(random_images(net.config, 8, torch.Generator().manual_seed(1)))
    executed_share(net.config, scores).backward()
    networks = [module for module in net.modules() if isinstance(module, GateNet)]
    assert len(networks) == len(list(gate_networks(net.config)))
    for gate in networks:
        assert gate.fc.bias.grad is not None  # of two logits the second, "run"
        assert bool((gate.fc.bias.grad[-gate.plan.outputs :] > 0).all())
    assert {p for gate in networks for p in gate.parameters()} == gate_parameters(net)


def test_first_step_is_free() -> None:
    """ACS trains with a skip ratio of zero first."""
    config = TrainConfig(network="acs-resnet8", l1=2.0, free_epochs=3)
    pressure = GatePressure(config, small("acs"), ramp_steps=10, free_steps=20)
    assert [pressure.weight(step) for step in (0, 19, 25, 40)] == [0.0, 0.0, 1.0, 2.0]


def test_closed_channels_of_a_sum_are_the_shortcut() -> None:
    net = random_float_network(small("acs"), seed=4)
    block = net.blocks[1]
    for gate in block.gates.values():
        gate.fc.weight.data.zero_()
        gate.fc.bias.data.fill_(-1.0)
    block.gates["1"].fc.bias.data[:2] = 1.0
    x = torch.rand(3, 4, 8, 6, generator=torch.Generator().manual_seed(2))
    y, scores = block(x)
    assert scores.channels.tolist() == [[0.0] * 4 + [1.0] * 2 + [0.0] * 2] * 3
    assert torch.equal(y[:, 2:], x[:, 2:]) and not torch.equal(y[:, :2], x[:, :2])


@pytest.mark.parametrize("gates", FAMILIES)
def test_onnxruntime_agrees(gates: str) -> None:
    """Both exports; the gates' maps may round differently, so their scores are compared first."""
    net = random_network(small(gates), keep_blocks=0.6, seed=5)
    x = random_images(net.config, 32, torch.Generator().manual_seed(6))
    with torch.no_grad():
        logits = net(x)[0].numpy()
    steps = np.abs(run(build_onnx(net), x) - logits).max(axis=1) / float(net.scale("fc"))
    assert (steps <= LOGIT_TOLERANCE).mean() >= 0.9  # a score at its threshold may flip
    floating = random_float_network(small(gates), keep_blocks=0.6, seed=5)
    with torch.no_grad():
        logits = floating(x)[0].numpy()
    close = np.abs(run(build_float_onnx(floating), x) - logits).max(axis=1) <= 1e-3
    assert close.mean() >= 0.9


@pytest.mark.parametrize("gates", FAMILIES)
def test_calibration_recognises_every_gate(gates: str, tmp_path: Path) -> None:
    net, path = random_float_network(small(gates), seed=5), tmp_path / "float.onnx"
    onnx.save(build_float_onnx(net), path)
    x = random_images(net.config, 16, torch.Generator().manual_seed(6)).numpy()
    found = [node for node in import_float(path, x).nodes if isinstance(node, ir.Gate)]
    plans = list(gate_networks(net.config))
    assert {gate.binary for gate in found if gate.decides} == {gates in BINARY}
    assert sum(len(g.bias) for g in found if g.decides) == sum(plan.outputs for plan in plans)
    scaled = [plan.convs[plan.squeeze - 1].channels for plan in plans if plan.squeeze]
    assert [len(gate.bias) for gate in found if not gate.decides] == scaled


@pytest.mark.parametrize("gates", FAMILIES)
def test_checkpoints_hold_the_gates(gates: str, tmp_path: Path) -> None:
    net = random_float_network(small(gates), seed=5)
    quantized = random_network(small(gates), seed=5)
    channels = net.config.in_channels
    written = Checkpoint(
        net=net,
        quantized=quantized,
        training={"dataset": "digits", "seed": 5},
        normalization={"full_scale": [1.0], "mean": [0.0] * channels, "std": [1.0] * channels},
        metrics={"epochs": 0.0},
    )
    save_checkpoint(tmp_path / "net.pt", written)
    loaded = load_checkpoint(tmp_path / "net.pt")
    x = random_images(net.config, 4, torch.Generator().manual_seed(6))
    with torch.no_grad():
        assert torch.equal(loaded.quantized(x)[0], quantized(x)[0])
        assert torch.equal(loaded.net(x)[0], net(x)[0])


def test_training_starts_from_a_backbone(tmp_path: Path) -> None:
    """A static network's weights, fresh gates; one epoch runs."""
    settings = TrainConfig(
        network="resnet8",
        widths=(4, 6, 8),
        epochs=1,
        qat_epochs=0,
        quiet=True,
        out=tmp_path / "b.pt",
    )
    train_network(settings)
    gated = replace(settings, network="acs-resnet8", init=tmp_path / "b.pt", out=tmp_path / "g.pt")
    metrics = train_network(gated).metrics
    assert metrics["epochs"] == 2
    assert 0 < metrics["mac_ratio"] < 1.5

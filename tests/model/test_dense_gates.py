"""Channel gates on DenseNets: geometry, MACs, both exports, training, and every engine's bytes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.compiler.calibration.run import import_float
from penstock.compiler.estimate.activity import decode
from penstock.compiler.interpreter import run_graph
from penstock.model import (
    ConfigError,
    DenseNetConfig,
    TrainConfig,
    build_float_onnx,
    build_onnx,
    evaluate,
    export_checkpoint,
    load_checkpoint,
    load_dataset,
    parse_any,
    random_images,
    random_network,
    train_network,
)
from penstock.model.checkpoint.file import Checkpoint, save_checkpoint
from penstock.model.gates.families import gate_networks
from penstock.model.gates.network import GateNet
from penstock.model.macs.count import (
    dense_macs,
    executed_macs,
    executed_share,
    gate_layer_macs,
    gate_macs,
    layer_macs,
)
from penstock.model.plans.network import MASKS, Gates, block_plans
from penstock.model.quantize.random_network import random_float_network
from penstock.model.quantize.twin import QuantNetwork, gate_parameters
from penstock.program.core.config import ALL_CHANNELS, get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.model.test_export import LOGIT_TOLERANCE, run

IMAGES = 24


def small(gates: Gates = "acs") -> DenseNetConfig:
    """Two blocks; the gates of its layers have four channels."""
    return DenseNetConfig(
        gates=gates,
        layers=(2, 2),
        growth=16,
        stem=8,
        stem_kernel=3,
        stem_stride=1,
        in_channels=1,
        input_size=(8, 8),
        classes=4,
    )


BINARY = [gates for gates in MASKS if gates != "fbs"]


def images(config: DenseNetConfig, count: int = IMAGES) -> torch.Tensor:
    return random_images(config, count, torch.Generator().manual_seed(6))


@pytest.mark.parametrize("name", ["densenet17", "densenet41", "acs-densenet41", "iadi-densenet53"])
def test_networks_have_names(name: str) -> None:
    assert parse_any(name).name == name


def test_a_gate_reads_what_its_layer_reads() -> None:
    """ACS, equation 1: of layer i that is ReLU(BN([F_0 ... F_i-1])); it masks the 32 new maps."""
    config = parse_any("acs-densenet41")
    gates = {gate.name: gate for gate in gate_networks(config)}
    assert len(gates) == len(block_plans(config)) == 18
    gate = gates["block1.layer2.gate2"]
    assert (gate.in_channels, gate.outputs) == (128 + 2 * 32, 32)
    assert [(c.kernel, c.channels, c.stride) for c in gate.convs] == [
        (1, 8, 1),
        (3, 8, 2),
        (3, 8, 1),
    ]
    own = [n for name, n in gate_layer_macs(config).items() if name.startswith(f"{gate.name}.")]
    assert sum(own) == 64 * 192 * 8 + 2 * 16 * 9 * 8 * 8 + 8 * 32
    assert gate_macs(config) == 3_177_984
    assert dense_macs(config) == dense_macs(parse_any("densenet41")) == 71_978_432


@pytest.mark.parametrize("gates", ["lc", "skipnet2", "moe"])
def test_gates_of_blocks_are_refused(gates: Gates) -> None:
    with pytest.raises(ConfigError, match="a DenseNet with gates"):
        DenseNetConfig(gates=gates)


def test_images_must_be_large_enough() -> None:
    with pytest.raises(ConfigError, match="for 3 blocks of half the size each"):
        DenseNetConfig(input_size=(7, 32))


def test_batch_norms_are_counted_where_they_are() -> None:
    """`macs_bn`: in front of the 1x1 and behind it, in front of transition and classifier."""
    config = small()
    extra = dense_macs(config, "macs_bn") - dense_macs(config)
    before = [8, 24, 40, 20, 36, 52]  # channels in front of 1x1s and transition, then of the end
    maps = [64] * 3 + [16] * 3
    assert extra == sum(c * p for c, p in zip(before, maps, strict=True)) + 32 * (2 * 64 + 2 * 16)


@pytest.mark.parametrize("gates", MASKS)
def test_executed_macs(gates: Gates) -> None:
    """A masked map's 3x3 is left out, nothing else; the resource term is their share."""
    config = small(gates)
    _, scores = random_network(config, seed=2)(images(config))
    share, counts = executed_share(config, scores), executed_macs(config, scores)
    mean = float(counts.backbone.double().mean())
    if gates in BINARY:
        assert float(share) == pytest.approx(mean / dense_macs(config))
    dense, expected = layer_macs(config), torch.zeros(IMAGES, dtype=torch.int64)
    for plan, score in zip(block_plans(config), scores, strict=True):
        kept = (score.channels > 0).sum(dim=1)
        expected += (16 - kept) * (dense[plan.convs[1].name] // 16)
    assert torch.equal(dense_macs(config) - counts.backbone, expected)
    assert 0 < float(share) < 1


@pytest.mark.parametrize("gates", MASKS)
def test_resource_term_reaches_every_gate(gates: Gates) -> None:
    net = random_float_network(small(gates), seed=5).train()
    _, scores = net(images(net.config, 8))
    executed_share(net.config, scores).backward()
    networks = [module for module in net.modules() if isinstance(module, GateNet)]
    assert len(networks) == len(list(gate_networks(net.config))) == 4
    for gate in networks:
        assert gate.fc.bias.grad is not None and bool((gate.fc.bias.grad > 0).any())
    assert {p for gate in networks for p in gate.parameters()} == gate_parameters(net)


@pytest.mark.parametrize("gates", MASKS)
def test_both_exports(gates: Gates, tmp_path: Path) -> None:
    """onnxruntime agrees, but where a score at its threshold flips; calibration finds the gates."""
    config = small(gates)
    net, floating = random_network(config, seed=5), random_float_network(config, seed=5)
    x = images(config)
    with torch.no_grad():
        quantized, real = net(x)[0].numpy(), floating(x)[0].numpy()
    steps = np.abs(run(build_onnx(net), x) - quantized).max(axis=1) / float(net.scale("fc"))
    assert (steps <= LOGIT_TOLERANCE).mean() >= 0.9
    close = np.abs(run(build_float_onnx(floating), x) - real).max(axis=1) <= 1e-3
    assert close.mean() >= 0.9
    onnx.save(build_float_onnx(floating), tmp_path / "float.onnx")
    graph = import_float(tmp_path / "float.onnx", x.numpy())
    found = [node for node in graph.nodes if isinstance(node, ir.Gate) and node.decides]
    assert [len(gate.bias) for gate in found] == [16] * 4
    assert {gate.binary for gate in found} == {gates in BINARY}


@pytest.mark.parametrize("gates", MASKS)
def test_every_engine_has_the_same_bytes(gates: Gates, tmp_path: Path) -> None:
    """Masked maps are skipped as outputs, over zeros; what reads them reads every channel."""
    config, path = small(gates), tmp_path / "net.onnx"
    onnx.save(build_onnx(random_network(config, seed=3)), path)
    compiled = compile_onnx(path, get_config("tiny"))
    inputs = compiled.quantize_input(images(config).numpy())
    records = compiled.run_graph(inputs)
    for engine in (golden, CsimCore("tiny"), RtlCore("tiny")):
        got = engine.run(compiled.package, inputs)
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], records[:, COUNTER_BYTES:])
    scores = compiled.decode_output(records).scores
    kept = np.concatenate([values > 0 for values in scores.values()], axis=1)
    alive = (kept.any(axis=0) & ~kept.all(axis=0)).sum()
    assert alive > (32 if gates in BINARY else 16)  # a random linear gate decides less
    names = [layer["name"] for layer in compiled.package.meta["layers"]]
    walks = {
        name: (d.in_list != ALL_CHANNELS, d.out_list != ALL_CHANNELS)
        for name, d in zip(names, decode(compiled.package), strict=True)
        if d.op == Op.CONV
    }
    assert {name for name, lists in walks.items() if any(lists)} == {
        f"{plan.name}.conv2" for plan in block_plans(config)
    }
    assert not any(reads for reads, _ in walks.values())
    assert all(f"{plan.name}.conv2.clear" in names for plan in block_plans(config))


def test_masked_maps_are_not_zero_behind_the_next_normalisation(tmp_path: Path) -> None:
    """Why no gate's list crosses a Concat: relu(beta - mu * gamma / sigma) is read."""
    config, path = small(), tmp_path / "net.onnx"
    onnx.save(build_onnx(random_network(config, seed=3)), path)
    compiled = compile_onnx(path, get_config("tiny"))
    graph = compiled.graph
    assert graph is not None
    inputs = compiled.quantize_input(images(config).numpy())
    codes = inputs.reshape(IMAGES, *graph.values[graph.input].shape).view(np.int8)
    values = run_graph(graph, codes)
    by_name = {node.name: node for node in graph.nodes}
    masked = by_name["block0.layer0.conv2"]
    assert isinstance(masked, ir.Conv) and masked.fold is not None
    closed = values[masked.fold.scores] == 0
    assert closed.any() and not values[masked.output][closed].any()
    normed = values[by_name["block0.layer1.norm"].output][:, 8:]  # behind the stem's maps
    assert normed[closed].any()


@pytest.mark.parametrize("gates", ["none", *MASKS])
def test_checkpoints(gates: Gates, tmp_path: Path) -> None:
    config = small(gates)
    net, quantized = random_float_network(config, seed=5), random_network(config, seed=5)
    channels = config.in_channels
    written = Checkpoint(
        net=net,
        quantized=quantized,
        training={"dataset": "digits", "seed": 5},
        normalization={"full_scale": [1.0], "mean": [0.0] * channels, "std": [1.0] * channels},
        metrics={"epochs": 0.0},
    )
    save_checkpoint(tmp_path / "net.pt", written)
    loaded = load_checkpoint(tmp_path / "net.pt")
    assert loaded.net.config == config and isinstance(loaded.quantized, QuantNetwork)
    x = images(net.config, 4)
    with torch.no_grad():
        assert torch.equal(loaded.quantized(x)[0], quantized(x)[0])
        assert torch.equal(loaded.net(x)[0], net(x)[0])


def test_training_and_everything_after_it(tmp_path: Path) -> None:
    """A static one, then gates on its weights; the checkpoint evaluates and exports."""
    settings = {
        "network": "densenet41",
        "layers": (1, 1),
        "growth": 8,
        "epochs": 2,
        "qat_epochs": 1,
        "quiet": True,
    }
    static = train_network(TrainConfig(**settings, out=tmp_path / "static.pt")).metrics
    assert static["mac_ratio"] == 1 and static["qat_accuracy"] > 0.3
    settings |= {"network": "acs-densenet41", "init": tmp_path / "static.pt", "l1": 3.0}
    figures = train_network(TrainConfig(**settings, out=tmp_path / "acs.pt")).metrics
    assert figures["epochs"] == 6 and figures["executed_macs_without_gates"] > 0
    loaded = load_checkpoint(tmp_path / "acs.pt")
    assert loaded.net.config.name == "acs-densenet8"
    again = evaluate(loaded.quantized, load_dataset("digits", None))
    assert again.accuracy == figures["qat_accuracy"]
    assert again.executed_macs == figures["executed_macs"]
    for quantized in (True, False):
        export_checkpoint(tmp_path / "acs.pt", tmp_path / "net.onnx", quantized=quantized)
        operators = {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
        assert "Concat" in operators and ("BatchNormalization" in operators) != quantized


def test_settings_of_other_networks_are_refused(tmp_path: Path) -> None:
    config = TrainConfig(network="densenet17", widths=(4, 6, 8), out=tmp_path / "net.pt")
    with pytest.raises(ConfigError, match=r"no setting 'widths' \(of these it has layers, growth"):
        train_network(config)

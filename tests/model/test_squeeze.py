"""Squeeze-and-excite in a gate network: floating point, quantised, and both exports."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from penstock.compiler import ir
from penstock.compiler.api import compile_onnx
from penstock.model import ResNetConfig, build_onnx, random_images, random_network
from penstock.model.gates.families import gate_networks
from penstock.model.gates.network import GateNet
from penstock.model.gates.squeeze import SqueezeExcite, hidden_channels
from penstock.model.macs.count import gate_layer_macs
from penstock.model.quantize.quantizers import sigmoid_score
from penstock.model.quantize.random_network import random_float_network
from penstock.program.core.config import get_config
from penstock.program.core.descriptor import GateKind
from penstock.program.core.sigmoid import SIGMOID_TABLE

SHUFFLED = 5  # a seed with relations of which neither is the finer
CONFIG = ResNetConfig(
    depth=8, gates="acsdg-se", widths=(32, 16, 32), in_channels=2, input_size=(8, 6), classes=5
)


def first_gate(seed: int) -> GateNet:
    """On 32 channels, so with 8 inside and 2 hidden."""
    gate = random_float_network(CONFIG, seed=seed).blocks[0].gates["0"]
    assert isinstance(gate, GateNet)
    return gate


def test_it_is_what_the_paper_says() -> None:
    """x_c times sigmoid(W2 relu(W1 mean(x)))_c."""
    torch.manual_seed(1)
    block, x = SqueezeExcite(8), torch.randn(3, 8, 4, 5)
    w1, w2 = block.squeeze, block.excite
    hidden = torch.relu(x.mean((2, 3)) @ w1.weight.T + w1.bias)
    scores = 1 / (1 + torch.exp(-(hidden @ w2.weight.T + w2.bias)))
    torch.testing.assert_close(block(x), x * scores[:, :, None, None])
    assert [hidden_channels(count) for count in (1, 3, 4, 15, 16)] == [1, 1, 1, 3, 4]


def test_reordered_channels() -> None:
    torch.manual_seed(2)
    block, x, order = SqueezeExcite(6), torch.randn(2, 6, 3, 3), (4, 0, 5, 2, 1, 3)
    torch.testing.assert_close(block.reordered(order)(x[:, order]), block(x)[:, order])


@pytest.mark.parametrize("seed", range(4))
def test_settled_layers_compute_the_same(seed: int) -> None:
    """Groups put channels in another order, and the block between them follows."""
    gate = first_gate(seed)
    settled = gate.deployed()
    assert any(conv.groups > 1 for conv, _ in settled.layers())
    assert gate.excite is not None and settled.excite is not None
    if seed != 3:  # whose groups lie as the channels do
        assert not torch.equal(settled.excite.excite.weight, gate.excite.excite.weight)
    x = torch.randn(3, 32, 8, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = settled.fc(settled.pooled(x))
        torch.testing.assert_close(found, gate.fc(gate.pooled(x)))


def test_the_scores_are_the_cores() -> None:
    """Every step of z, and values between them; the gradient is the sigmoid's."""
    steps = torch.arange(-128, 128)
    expected = torch.tensor([SIGMOID_TABLE[z & 0xFF] for z in steps.tolist()]) / 128
    assert torch.equal(sigmoid_score(steps / 16), expected)
    assert torch.equal(sigmoid_score(steps / 16 + 0.03), expected)
    assert sigmoid_score(torch.tensor([-50.0, 50.0])).tolist() == [0.0, 1.0]
    z = torch.tensor([0.7], requires_grad=True)
    sigmoid_score(z).backward()
    soft = torch.sigmoid(torch.tensor(0.7))
    assert z.grad is not None and float(z.grad) == pytest.approx(float(soft * (1 - soft)))


def test_its_macs() -> None:
    """Both dense layers, of every gate; the scaling by scores is never counted."""
    plain = gate_layer_macs(ResNetConfig(**{**vars_of(CONFIG), "gates": "acsdg"}))
    counts = gate_layer_macs(CONFIG)
    more = {name: count for name, count in counts.items() if name not in plain}
    assert {name: counts[name] for name in plain} == plain
    for plan in gate_networks(CONFIG):
        channels = plan.convs[1].channels
        for part in ("squeeze", "excite"):
            assert more.pop(f"{plan.name}.{part}") == channels * hidden_channels(channels)
    assert not more


def vars_of(config: ResNetConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def test_export_and_import(tmp_path: Path) -> None:
    """The file has the block between the grouped convolutions, and the compiler finds its gates."""
    net = random_network(CONFIG, seed=SHUFFLED)
    model = build_onnx(net)
    onnx.checker.check_model(model)
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    compiled = compile_onnx(path, get_config("tiny"))
    assert compiled.graph is not None
    gates = [node for node in compiled.graph.nodes if isinstance(node, ir.Gate)]
    plans = list(gate_networks(CONFIG))
    sigmoids = [gate for gate in gates if gate.kind == GateKind.SIGMOID]
    assert [gate.name for gate in sigmoids] == [f"{plan.name}.excite" for plan in plans]
    assert len(gates) == 2 * len(plans)
    images = random_images(CONFIG, 20, torch.Generator().manual_seed(4))
    inputs = compiled.quantize_input(images.numpy())
    logits = compiled.decode_output(compiled.run_graph(inputs)).logits
    with torch.no_grad():
        expected = net(images)[0].numpy()
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    scores = compiled.decode_output(compiled.run_graph(inputs)).scores
    assert len(np.unique(np.concatenate([scores[gate.output] for gate in sigmoids], axis=1))) > 20

"""Gate semantics: leaky in training, strict in evaluation; closed gates skip."""

from typing import Any

import pytest
import torch

from penstock.model import ConfigError, ResNetConfig, TrainConfig, parse_any
from penstock.model.data.digits import load_digits
from penstock.model.gates.lcnet import CNet, Gate, LNet
from penstock.model.gates.score import LEAK, global_average_pool
from penstock.model.networks.registry import build_any
from penstock.model.networks.resnet import ResidualBlock
from penstock.model.networks.scores import BlockScores
from penstock.model.plans.network import Gates, block_plans
from penstock.model.quantize.quantizers import identity_conv, quantize_score
from penstock.model.train.initial import initial_network
from penstock.model.train.pressure import GatePressure

Z = torch.tensor([-2.0, -0.25, 0.0, 0.25, 1.0, 3.0])


def gate_with(z: torch.Tensor) -> CNet:
    """A channel gate whose pre-activations are `z`, whatever its input."""
    gate = CNet(4, len(z))
    with torch.no_grad():
        gate.fc.weight.zero_()
        gate.fc.bias.copy_(z)
    return gate


def test_strict_in_evaluation() -> None:
    scores = gate_with(Z).eval()(torch.randn(3, 4))
    assert scores.tolist() == [[0.0, 0.0, 0.0, 0.25, 1.0, 1.0]] * 3


def test_leaky_in_training() -> None:
    scores = gate_with(Z).train()(torch.zeros(1, 4))[0]
    expected = [-2 * LEAK, -0.25 * LEAK, 0.0, 0.25, 1.0, 1 + 2 * LEAK]
    assert scores.tolist() == pytest.approx(expected)


def test_closed_and_saturated_gates_have_a_gradient_in_training() -> None:
    gate = gate_with(Z).train()
    gate(torch.zeros(1, 4)).sum().backward()
    assert gate.fc.bias.grad is not None
    assert gate.fc.bias.grad.tolist() == pytest.approx([LEAK, LEAK, 1.0, 1.0, 1.0, LEAK], abs=1e-6)


def test_noise_is_on_the_sums_in_training_alone() -> None:
    gate, generator = gate_with(torch.full((6,), 0.5)), torch.Generator().manual_seed(1)
    gate.noise = 0.25
    gate.draw(500, generator)
    x = torch.zeros(500, 4)
    assert gate.eval()(x).tolist() == [[0.5] * 6] * 500
    z = gate.train()(x)
    assert float(z.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(z.std()) == pytest.approx(0.22, abs=0.04)  # bent beyond 0 and 1
    gate.draw(500, generator)
    assert not torch.equal(gate(x), z)
    gate.noise = 0.0
    gate.draw(500, generator)
    assert gate(x).tolist() == [[0.5] * 6] * 500


def test_gates_start_as_told() -> None:
    told = TrainConfig(network="lcnet-resnet8", gate_bias=1.5, gate_spread=2.0)
    nets = [initial_network(told, load_digits())[0] for _ in range(2)]
    gates = [[m for m in net.modules() if isinstance(m, Gate)] for net in nets]
    assert all(bool((gate.fc.bias == 1.5).all()) for gate in gates[0])
    weights = torch.cat([gate.fc.weight.flatten() * gate.fc.in_features**0.5 for gate in gates[0]])
    assert weights.std().item() == pytest.approx(2.0, rel=0.1)
    assert all(torch.equal(a.fc.weight, b.fc.weight) for a, b in zip(*gates, strict=True))
    plain = initial_network(TrainConfig(network="lcnet-resnet8"), load_digits())[0]
    assert {float(m.fc.bias[0]) for m in plain.modules() if isinstance(m, Gate)} == {0.5, 1.0}


def test_every_gate_can_have_a_rate() -> None:
    """Of LC-Net too: blocks theirs, channels theirs, each gate by itself."""
    block = torch.tensor([[1.0], [0.0]]).requires_grad_()
    channels = torch.tensor([[1.0, 0.0], [1.0, 0.5]]).requires_grad_()
    config = TrainConfig(network="lcnet-resnet8", gate_cost="rate", gate_rate=0.5, block_rate=0.75)
    cost = GatePressure(config, parse_any("lcnet-resnet8"), 0).penalty(
        [BlockScores(block, channels)]
    )
    assert cost.item() == pytest.approx((0.25**2 + 0.5**2 + 0.25**2) / 3)


@pytest.mark.parametrize(
    "setting",
    [
        {"gate_cost": "none"},
        {"block_rate": 0},
        {"gate_noise": -1},
        {"gate_spread": -1},
        {"gate_bias": float("nan")},
    ],
)
def test_gate_settings_out_of_range(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        TrainConfig(**setting)


def test_block_gate_has_one_score_an_image() -> None:
    assert LNet(5)(torch.randn(7, 5)).shape == (7, 1)


def test_pooling_is_the_mean_over_the_map() -> None:
    x = torch.arange(12.0).view(1, 2, 2, 3)
    assert global_average_pool(x).tolist() == [[2.5, 8.5]]


def test_quantized_score_is_strict_on_the_grid_of_128ths() -> None:
    z = torch.tensor([-1.0, 0.5 / 128, 0.51 / 128, 1.5 / 128, 0.5, 0.999, 2.0])
    expected = [0.0, 0.0, 1.0, 2.0, 64.0, 128.0, 128.0]  # ties to even
    for training in (False, True):
        assert (quantize_score(z, training) * 128).tolist() == expected


def test_quantized_score_keeps_the_leaky_gradient() -> None:
    z = torch.tensor([-1.0, 0.3, 2.0], requires_grad=True)
    quantize_score(z, training=True).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == pytest.approx([LEAK, 1.0, LEAK])


def float_block(index: int) -> ResidualBlock:
    """A block of a fresh network in evaluation mode: 0 identity, 1 down-sampling."""
    block = build_any(ResNetConfig(), seed=3).eval().blocks[index]
    assert isinstance(block, ResidualBlock)
    return block


def close_block(block: ResidualBlock) -> None:
    """Make the block gate score 0 for every input."""
    assert block.lnet is not None
    torch.nn.init.zeros_(block.lnet.fc.weight)
    torch.nn.init.constant_(block.lnet.fc.bias, -1.0)


def test_block_with_score_zero_is_the_identity() -> None:
    block = float_block(0)
    x = torch.rand(2, 16, 8, 8)  # the output of a ReLU
    assert not torch.equal(block(x)[0], x)
    close_block(block)
    assert torch.equal(block(x)[0], x)


def test_down_sampling_block_with_score_zero_is_its_shortcut() -> None:
    block = float_block(1)
    close_block(block)
    assert block.shortcut is not None and block.shortcut_bn is not None
    x = torch.rand(2, 16, 8, 8)
    assert torch.equal(block(x)[0], torch.relu(block.shortcut_bn(block.shortcut(x))))


def test_channel_with_score_zero_does_not_depend_on_its_weights() -> None:
    block = float_block(0)
    (cnet,) = block.cnets
    with torch.no_grad():
        cnet.fc.weight.zero_()
        cnet.fc.bias.copy_(torch.tensor([-1.0] + [0.7] * 15))
    x = torch.rand(2, 16, 8, 8)
    before = block(x)[0]
    with torch.no_grad():
        block.convs[0].weight[0] += 1.0
    assert torch.equal(block(x)[0], before)
    with torch.no_grad():
        block.convs[0].weight[1] += 1.0
    assert not torch.equal(block(x)[0], before)


def test_every_block_is_gated_and_plain_networks_have_no_scores() -> None:
    x = torch.rand(2, 1, 8, 8)
    config = ResNetConfig(depth=14)
    _, scores = build_any(config, seed=0)(x)
    assert [s.channels.shape for s in scores] == [(2, p.channels) for p in block_plans(config)]
    logits, scores = build_any(ResNetConfig(gates="none"), seed=0)(x)
    assert logits.shape == (2, 10)
    assert scores == []


@pytest.mark.parametrize("gates", ["l", "c"])
def test_a_missing_gate_is_open(gates: Gates) -> None:
    config = ResNetConfig(gates=gates, widths=(4, 6, 8))
    net = build_any(config, seed=0).eval()
    _, scores = net(torch.rand(2, 1, 8, 8))
    for score, plan in zip(scores, block_plans(config), strict=True):
        missing = score.channels if gates == "l" else score.block
        assert torch.equal(missing, torch.ones_like(missing))
        assert score.channels.shape == (2, plan.channels)
    names = {name.split(".")[2] for name in net.state_dict() if ".fc." in name}
    assert names == {{"l": "lnet", "c": "cnets"}[gates]}


def bottleneck(gated_convs: int) -> ResidualBlock:
    """An identity bottleneck, 16 -> 4 -> 4 -> 16 channels, in evaluation mode."""
    config = ResNetConfig(depth=20, block="bottleneck", widths=(4, 8, 16), gated_convs=gated_convs)
    block = build_any(config, seed=3).eval().blocks[1]
    assert isinstance(block, ResidualBlock) and not block.plan.changes_shape
    return block


@pytest.mark.parametrize("gated_convs", [1, 2])
def test_bottleneck_is_the_formula(gated_convs: int) -> None:
    """y = relu(bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))*S_C)))[*S_C2]))*S_L + x)."""
    block = bottleneck(gated_convs)
    x = torch.rand(2, 16, 8, 8)
    y, scores = block(x)
    assert scores is not None and scores.channels.shape == (2, 4 * gated_convs)
    (conv1, bn1), (conv2, bn2), (conv3, bn3) = block.layers()
    inner = torch.relu(bn1(conv1(x))) * scores.channels[:, :4, None, None]
    inner = torch.relu(bn2(conv2(inner)))
    if gated_convs == 2:
        inner = inner * scores.channels[:, 4:, None, None]
    expected = torch.relu(bn3(conv3(inner)) * scores.block[:, :, None, None] + x)
    assert torch.equal(y, expected)
    close_block(block)
    assert torch.equal(block(x)[0], x)


def test_identity_shortcut_takes_every_second_pixel() -> None:
    config = ResNetConfig(shortcuts="identity", widths=(2, 3, 4), input_size=(5, 4))
    block = build_any(config, seed=0).eval().blocks[1]
    assert isinstance(block, ResidualBlock) and block.shortcut is None
    close_block(block)
    x = torch.rand(2, 2, 5, 4)
    y = block(x)[0]
    assert y.shape == (2, 3, 3, 2)
    assert torch.equal(y[:, :2], x[:, :, ::2, ::2])
    assert not y[:, 2].any()


def test_quantised_identity_shortcut_is_exact() -> None:
    x = torch.randint(0, 256, (2, 3, 5, 4)) / 64
    y = identity_conv(3, 5, 2)(x, torch.tensor(1 / 64))
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2])
    assert not y[:, 3:].any()

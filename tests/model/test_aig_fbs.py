"""ConvNet-AIG's gates of two logits and FBS's winners: training form, deployed form, counts."""

import copy

import pytest
import torch
from torch import nn

from penstock.model import ConfigError, ResNetConfig, TrainConfig
from penstock.model.gates.families import FAMILIES, aig, fbs, gate_networks
from penstock.model.gates.families.aig import Gumbel, TwoLogits
from penstock.model.gates.families.fbs import Salient, Winners
from penstock.model.gates.network import GateNet
from penstock.model.macs.count import gate_layer_macs
from penstock.model.macs.work import layers_of
from penstock.model.networks.registry import build_any
from penstock.model.networks.scores import BlockScores
from penstock.model.plans.layers import ConvPlan
from penstock.model.plans.network import block_plans
from penstock.model.trace.tracer import trace
from penstock.model.train.pressure import GatePressure, rate_error

SMALL = ResNetConfig(depth=14, gates="aig", widths=(4, 6, 8), in_channels=2, input_size=(8, 6))


def two_logits() -> TwoLogits:
    torch.manual_seed(3)
    return TwoLogits(aig.gate(block_plans(SMALL)[1]))


def salient(channels: int = 8) -> Salient:
    torch.manual_seed(4)
    conv = ConvPlan(
        name="c", in_channels=6, channels=channels, kernel=3, stride=1, out_size=(5, 5), gated=True
    )
    return Salient(fbs.gate("c.gate", conv, (5, 5)))


def test_aig_has_a_gate_of_two_layers_on_every_block() -> None:
    plans = list(gate_networks(SMALL))
    assert [plan.name for plan in plans] == [f"{plan.name}.gate" for plan in block_plans(SMALL)]
    assert {(plan.hidden, plan.outputs, plan.convs) for plan in plans} == {(16, 1, ())}
    counts = gate_layer_macs(SMALL)
    assert counts["stage0.block1.gate.hidden"] == 4 * 16
    assert counts["stage0.block1.gate.fc"] == 16  # the difference of the logits is one output


def test_the_larger_logit_decides() -> None:
    gate = two_logits().eval()
    x = torch.randn(64, 4, 8, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        gate.fc.bias.copy_(torch.tensor([0.1, 0.1]))
        z = gate.fc(gate.pooled(x))
        assert torch.equal(gate(x)[:, 0], z.argmax(dim=1).float())
        assert 0 < float(gate(x).mean()) < 1
        deployed = gate.deployed()
        assert type(deployed) is GateNet and deployed.fc.out_features == 1
        assert torch.equal(deployed(x), gate(x))


def test_gumbel_noise_runs_a_block_as_often_as_the_softmax_says() -> None:
    score = Gumbel().train()
    z = torch.full((20_000, 1), 0.7, requires_grad=True)
    score.draw(len(z), torch.Generator().manual_seed(5))
    runs = score(z)
    assert set(runs.flatten().tolist()) == {0.0, 1.0}
    assert float(runs.detach().mean()) == pytest.approx(
        float(torch.sigmoid(torch.tensor(0.7))), abs=0.01
    )
    runs.sum().backward()
    assert z.grad is not None and score.noise is not None
    soft = torch.sigmoid(z.detach() + score.noise)
    assert torch.allclose(z.grad, soft * (1 - soft))
    score.eval()
    assert bool((score(z) == 1).all())  # no noise at inference


def test_a_difference_of_logits_is_counted_once() -> None:
    """`1 - score` doubles the layer before it, in the file too; z1 - z0 does not."""
    net = build_any(SMALL, seed=0).eval()  # as it trains, with both logits
    counted = {
        layer.path: layer for layer in layers_of(trace(net, torch.zeros(1, 2, 8, 6), "outputs"))
    }
    assert "blocks.1.gate.fc" not in counted
    assert counted["blocks.1.gate.fc_difference"].macs == 16


def test_aig_pays_for_shares_that_are_not_as_wanted() -> None:
    ones, quarter = torch.ones(4, 1), torch.tensor([[1.0], [0], [0], [0]])
    scores = [BlockScores(block.requires_grad_(), torch.ones(4, 3)) for block in (+ones, quarter)]
    found = rate_error(scores, rate=1.0, block_rate=0.5)  # ones of gates that are not there
    assert found.item() == pytest.approx((0.5**2 + 0.25**2) / 2)
    config = TrainConfig(network="aig-resnet14", gate_rate=0.25)
    assert float(GatePressure(config, SMALL, 0).penalty(scores)) == pytest.approx(0.75**2 / 2)
    with pytest.raises(ConfigError, match="gate_rate is 0"):
        TrainConfig(gate_rate=0)


@pytest.mark.parametrize(("rate", "winners"), [(0.5, 4), (0.2, 2), (0.01, 1), (1.0, 8)])
def test_the_share_that_wins_wins_in_every_image(rate: float, winners: int) -> None:
    gate = salient().train()
    assert isinstance(gate.decide, Winners)
    gate.decide.rate = rate
    x = torch.rand(32, 6, 5, 5, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        gate.fc.bias.add_(1.0)  # with all of them winning, a bias alone decides
    scores = gate(x)
    assert ((scores > 0).sum(dim=1) == winners).all()
    assert bool((scores >= 0).all()) and bool((scores <= 1).all())
    z = gate.fc(gate.pooled(x))
    best = torch.zeros_like(z).scatter(1, z.topk(winners, dim=1).indices, 1.0)
    assert torch.equal((scores > 0).float(), best)


def test_trained_winners_are_those_above_a_constant() -> None:
    gate = salient().train()
    generator = torch.Generator().manual_seed(7)
    for _ in range(80):  # as a batch norm's statistics settle
        gate(torch.rand(64, 6, 5, 5, generator=generator))
    assert isinstance(gate.decide, Winners)
    gate.eval()
    x = torch.rand(256, 6, 5, 5, generator=generator)
    with torch.no_grad():
        z = gate.fc(gate.pooled(x))
        scores = gate(x)
        assert torch.equal(scores, (z - gate.decide.bound).clamp(0, 1))
        assert float((scores > 0).float().mean()) == pytest.approx(0.5, abs=0.1)
        deployed = gate.deployed()
        assert type(deployed) is GateNet and "bound" not in str(deployed.state_dict().keys())
        assert torch.allclose(deployed(x), scores, atol=1e-6)


def test_a_closed_channel_can_win_again() -> None:
    gate = salient().train()
    gate(torch.rand(8, 6, 5, 5)).sum().backward()
    assert gate.fc.bias.grad is not None and bool((gate.fc.bias.grad > 0).all())


@pytest.mark.parametrize("gates", ["aig", "fbs"])
def test_a_copy_in_training_leaves_the_deployed_form_alone(gates: str) -> None:
    net = build_any(ResNetConfig(gates=gates, widths=(4, 6, 8)), seed=0)  # type: ignore[arg-type]
    before = copy.deepcopy(net.state_dict())
    kind = FAMILIES[gates].net
    for gate in [module for module in net.modules() if isinstance(module, kind)]:
        assert not isinstance(gate.deployed(), kind)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert isinstance(net, nn.Module) and net.training

"""BlockDrop's policy by REINFORCE: what is sampled, rewarded and learnt."""

import math
from pathlib import Path

import pytest
import torch
from rich.console import Console

from penstock.model import ResNetConfig, TrainConfig, load_checkpoint, train_network
from penstock.model.errors import ConfigError
from penstock.model.gates.network import GateNet
from penstock.model.gates.score import BOUND
from penstock.model.networks.registry import build_any
from penstock.model.networks.resnet import ResNet
from penstock.model.train.recipe import load_recipe
from penstock.model.train.reinforce import Reinforce
from penstock.model.train.workers import Workers

BLOCKS = 6
CONFIG = ResNetConfig(
    depth=14, gates="blockdrop", widths=(4, 6, 8), in_channels=1, input_size=(8, 8), classes=3
)
SETTINGS = TrainConfig(
    network="blockdrop-resnet14", policy_gradient="reinforce", wrong_reward=2.0, quiet=True
)


def trained_policy(bias: float) -> tuple[ResNet, Reinforce]:
    """A network whose policy says the same for every image, with the curriculum over."""
    net = build_any(CONFIG, seed=1).train()
    assert net.policy is not None
    net.policy.fc.weight.data.zero_()
    net.policy.fc.bias.data.fill_(bias)
    return net, Reinforce(net, SETTINGS, free_epochs=2, decided=1)


def images_of(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_the_curriculum_decides_one_block_more_every_epoch() -> None:
    _, reinforce = trained_policy(0.0)
    assert [reinforce.forced(epoch) for epoch in range(10)] == [6, 6, 5, 4, 3, 2, 1, 0, 0, 0]


@pytest.mark.parametrize("bias", [-9.0, 0.0, 9.0])
def test_samples_follow_bounded_probabilities(bias: float) -> None:
    net, reinforce = trained_policy(bias)
    reinforce.explore(2000, 7, torch.Generator().manual_seed(1))
    _, scores = net(images_of(2000))
    runs = torch.cat([score.block for score in scores], dim=1)
    chance = (1 - BOUND) + (2 * BOUND - 1) / (1 + math.exp(-bias))
    assert float(runs.mean()) == pytest.approx(chance, abs=0.02)
    assert set(runs.unique().tolist()) == {0.0, 1.0}
    assert net.policy is not None
    policy = net.policy.decide
    assert policy.log_prob is not None
    each = torch.where(runs > 0, math.log(chance), math.log(1 - chance))
    torch.testing.assert_close(policy.log_prob.detach(), each.sum(dim=1))


def test_blocks_that_are_not_decided_yet_run() -> None:
    net, reinforce = trained_policy(-9.0)
    reinforce.explore(64, 3, torch.Generator().manual_seed(1))
    _, scores = net(images_of(64))
    runs = torch.cat([score.block for score in scores], dim=1)
    assert bool((runs[:, :4] == 1).all()) and float(runs[:, 4:].mean()) < 0.5
    assert net.policy is not None
    policy = net.policy.decide
    assert policy.log_prob is not None
    counted = torch.where(runs[:, 4:] > 0, math.log(1 - BOUND), math.log(BOUND)).sum(dim=1)
    torch.testing.assert_close(policy.log_prob.detach(), counted, rtol=1e-3, atol=1e-3)


def gradient(bias: float, right: bool) -> torch.Tensor:
    """Of the policy's biases, on a classifier that is always right or always wrong."""
    net, reinforce = trained_policy(bias)
    net.fc.weight.data.zero_()
    net.fc.bias.data = torch.tensor([1.0, 0.0, 0.0])
    images, labels = images_of(256), torch.full((256,), 0 if right else 1)
    reinforce.explore(256, 7, torch.Generator().manual_seed(1))
    logits, _ = net(images)
    reinforce.loss(images, labels, logits, 7).backward()
    assert net.training and net.policy is not None and net.policy.decide.draws is None
    assert isinstance(net.policy, GateNet) and net.policy.fc.bias.grad is not None
    return net.policy.fc.bias.grad


def test_fewer_blocks_are_rewarded_where_the_answer_is_right() -> None:
    """Descent closes all of them; a network that is wrong anyway teaches nothing."""
    assert bool((gradient(1.0, right=True) > 0).all())
    assert bool((gradient(-1.0, right=True) > 0).all())
    assert gradient(1.0, right=False).abs().max() == 0


def test_rewards() -> None:
    """1 - (share of the blocks)^2 for a right answer, the penalty for a wrong one."""
    _, reinforce = trained_policy(0.0)
    logits = torch.tensor([[2.0, 0.0, 0.0]] * 3)
    runs = torch.tensor([[1.0] * BLOCKS, [1.0] * 3 + [0.0] * 3, [0.0] * BLOCKS])
    rewards = reinforce._rewards(logits, torch.tensor([0, 0, 1]), runs)
    assert rewards.tolist() == pytest.approx([0.0, 0.75, -2.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "lcnet-resnet8"}, "no policy to train by REINFORCE"),
        ({"mac_target": 0.5}, "no weight to steer"),
        ({"policy_gradient": "ppo"}, "unknown policy_gradient"),
        ({"wrong_reward": -1.0}, "wrong_reward is -1.0"),
    ],
)
def test_settings_are_checked(changes: dict[str, object], message: str) -> None:
    settings = {"network": "blockdrop-resnet14", "policy_gradient": "reinforce"}
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from penstock.model import load_dataset
    from penstock.model.train import flow

    config = TrainConfig(network="blockdrop-resnet14", policy_gradient="reinforce", out=tmp_path)
    with pytest.raises(ConfigError, match="one process"):
        flow._Run(config, load_dataset("digits", None), Workers(count=2), Console())


def test_a_run_trains_both_phases(tmp_path: Path) -> None:
    """One epoch each; what is saved decides by thresholds, not by draws."""
    recipe = load_recipe("blockdrop-reinforce-digits")
    assert recipe["policy_gradient"] == "reinforce"
    small = {"epochs": 1, "qat_epochs": 1, "free_epochs": 0, "widths": (4, 6, 8)}
    out = tmp_path / "net.pt"
    settings = TrainConfig(**{**recipe, **small, "out": out, "quiet": True})
    metrics = train_network(settings).metrics
    assert 0 < metrics["mac_ratio"] < 1.1
    loaded = load_checkpoint(out)
    images = images_of(4)
    with torch.no_grad():
        assert torch.equal(loaded.quantized(images)[0], loaded.quantized(images)[0])

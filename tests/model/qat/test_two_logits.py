"""Gates of two logits in a user's own words: one layer of the difference, for QAT and MACs too."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import penstock
from penstock.model.export import export_qat
from penstock.model.gates.score import Step
from penstock.model.macs.work import layers_of
from penstock.model.quantize import prepare_qat
from penstock.model.trace.outputs import returned
from penstock.model.trace.tracer import TraceError, trace

Spelling = Callable[[Tensor], Tensor]


def straight(z: Tensor) -> Tensor:
    soft = z.softmax(dim=-1)
    index = soft.max(-1, keepdim=True)[1]
    hard = torch.zeros_like(z).scatter_(-1, index, 1.0)
    return (hard - soft.detach() + soft)[:, 1]


def unbound(z: Tensor) -> Tensor:
    skip, run = z.unbind(dim=1)
    return (run > skip).float()


#: Of [N, 2] logits, skip first, the decision to run: 1 where z1 > z0 (`>`), or also at a tie.
GREATER: dict[str, Spelling] = {
    "z1 - z0 > 0": lambda z: ((z[:, 1] - z[:, 0]) > 0).float(),
    "slices": lambda z: ((z[:, 1:] - z[:, :1]) > 0).float(),
    "0 < difference": lambda z: torch.gt(z[:, 1:] - z[:, :1], 0).to(torch.float32),
    "z0 - z1 < 0": lambda z: ((z[:, 0] - z[:, 1]) < 0).float(),
    "-(z0 - z1) > 0": lambda z: (-(z[:, :1] - z[:, 1:]) > 0).float(),
    "z1 > z0": lambda z: (z[:, 1] > z[:, 0]).float(),
    "z0 < z1": lambda z: torch.lt(z[..., 0], z[..., 1]).float(),
    "not z0 >= z1": lambda z: (~(z[:, 0] >= z[:, 1])).float(),
    "softmax": lambda z: (z.softmax(dim=1)[..., 1] > 0.5).float(),
    "softmax0": lambda z: (F.softmax(z, dim=-1)[:, 0:1] < 0.5).float(),
    "softmax both": lambda z: (lambda p: (p[:, 1] > p[:, 0]).float())(torch.softmax(z, 1)),
    "log_softmax": lambda z: (lambda p: (p[:, 1] - p[:, 0] > 0).float())(F.log_softmax(z, 1)),
    "sigmoid": lambda z: (torch.sigmoid(z[:, 1] - z[:, 0]) > 0.5).float(),
    "round": lambda z: z.softmax(1)[:, 1].round(),
    "argmax": lambda z: z.argmax(dim=1).float(),
    "argmax == 1": lambda z: (z.argmax(1, keepdim=True) == 1).float(),
    "1 - (argmax == 0)": lambda z: 1 - (z.argmax(1) == 0).float(),
    "max": lambda z: torch.max(z, 1)[1].float(),
    "max.indices": lambda z: z.max(dim=1).indices.float(),
    "one hot": lambda z: F.one_hot(z.argmax(dim=1), 2)[:, 1].float(),
    "straight through": straight,
    "where": lambda z: torch.where(z[:, 1] > z[:, 0], 1.0, 0.0),
    "unbind": unbound,
    "chunk": lambda z: (lambda p: (p[1] > p[0]).float())(z.chunk(2, dim=1)),
    "diff": lambda z: (torch.diff(z, dim=1) > 0).float(),
    "cat": lambda z: torch.cat([z[:, 1:], z[:, :1]], dim=1).argmin(dim=1).float(),
}
GREATER_OR_EQUAL: dict[str, Spelling] = {
    "z1 >= z0": lambda z: (z[:, 1] >= z[:, 0]).float(),
    "difference >= 0": lambda z: ((z[:, 1:] - z[:, :1]) >= 0).float(),
    "softmax >= 1/2": lambda z: (z.softmax(dim=1)[:, 1] >= 0.5).float(),
    "not z0 > z1": lambda z: 1.0 - (z[:, 0] > z[:, 1]).float(),
    "argmax == 0": lambda z: (z[:, [1, 0]].argmax(dim=1) == 0).float(),
}


class Gated(nn.Module):
    """A block that `spelling` decides of two logits."""

    def __init__(self, spelling: Spelling, outputs: int = 2) -> None:
        super().__init__()
        self.spelling = spelling
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.hidden, self.gate = nn.Linear(4, 6), nn.Linear(6, outputs)
        self.fc = nn.Linear(4, 3)

    def score(self, x: Tensor) -> Tensor:
        return self.spelling(self.gate(F.relu(self.hidden(x.mean(dim=(2, 3))))))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        y = self.conv(x) * self.score(x).view(-1, 1, 1, 1)
        return self.fc(F.relu(y + x).mean(dim=(2, 3)))


class Difference(Gated):
    """The same with one output, as it is to be read."""

    def __init__(self, two: Gated, or_equal: bool) -> None:
        super().__init__((lambda z: (z >= 0).float()) if or_equal else (lambda z: (z > 0).float()))
        self.load_state_dict(two.state_dict())
        self.gate = nn.Linear(6, 1)
        with torch.no_grad():
            self.gate.weight.copy_(two.gate.weight[1:] - two.gate.weight[:1])
            self.gate.bias.copy_(two.gate.bias[1:] - two.gate.bias[:1])


def images(count: int = 24) -> Tensor:
    return torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(4))


def centred(spelling: Spelling) -> Gated:
    """A net some of whose images run, others not: the gate's median is its threshold."""
    torch.manual_seed(3)
    net = Gated(spelling).eval()
    with torch.no_grad():
        pooled = F.relu(net.stem(images())).mean(dim=(2, 3))
        z = net.gate(F.relu(net.hidden(pooled)))
        net.gate.bias[1] -= (z[:, 1] - z[:, 0]).median() - 1e-3
    return net


@pytest.mark.parametrize("name", [*GREATER, *GREATER_OR_EQUAL])
def test_the_difference_decides(name: str) -> None:
    """The quantised network is that of a module with the difference as its one output."""
    or_equal = name in GREATER_OR_EQUAL
    net = centred((GREATER | GREATER_OR_EQUAL)[name])
    found = trace(net, images(1))
    linears = [m.out_features for m in found.modules() if isinstance(m, nn.Linear)]
    assert sorted(linears) == [1, 3, 6], "one output, and no layer of two is left"
    assert torch.allclose(found(images()), net(images()), atol=1e-6)
    expected = Difference(net, or_equal).eval()
    twins = [prepare_qat(each, images(1)) for each in (net, expected)]
    for twin in twins:
        twin.calibrate([images()])
    outs = [twin.eval()(images()) for twin in twins]
    assert torch.equal(*outs)
    scores = net.score(F.relu(net.stem(images())))
    assert 0 < scores.mean().item() < 1


@pytest.mark.parametrize("name", [*GREATER, *GREATER_OR_EQUAL])
def test_ties(name: str) -> None:
    """Two logits that are equal for every image: the decision is that of the spelling."""
    net = Gated((GREATER | GREATER_OR_EQUAL)[name]).eval()
    with torch.no_grad():
        net.gate.weight[1] = net.gate.weight[0]
        net.gate.bias[1] = net.gate.bias[0]
    runs = net.score(F.relu(net.stem(images(3))))
    assert set(runs.flatten().tolist()) == {float(name in GREATER_OR_EQUAL)}
    assert torch.allclose(trace(net, images(1))(images(3)), net(images(3)), atol=1e-6)


def test_macs_are_those_of_one_output() -> None:
    net = centred(GREATER["softmax"])
    traced = trace(net, images(1))
    layers = layers_of(traced, returned(traced, "net"))
    assert sorted(layer.macs for layer in layers if layer.gate) == [6, 24]
    assert [layer.block for layer in layers if layer.path == "conv"] == [(0, None)]


def test_it_trains_and_exports() -> None:
    net = prepare_qat(centred(GREATER["argmax"]), images(1))
    net.calibrate([images()])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = [p.detach().clone() for p in net.parameters() if p.shape == (1, 6)]
    net.train()
    F.cross_entropy(net(images()), torch.arange(24) % 3).backward()
    optimizer.step()
    after = [p for p in net.parameters() if p.shape == (1, 6)]
    assert len(before) == 1 and not torch.equal(before[0], after[0]), "straight through"
    operators = [node.op_type for node in export_qat(net.eval()).graph.node]
    assert operators.count("Greater") == 1 and "ArgMax" not in operators
    compiled = penstock.compile(net, images(1).numpy(), target="tiny")
    assert "skips conv" in str(compiled.gates)
    found = compiled.compare(images().numpy(), ("golden", "graph"))
    assert found.equal
    scores = compiled.run(images().numpy()).scores
    assert {0, 128} == {int(score) for each in scores.values() for score in each.flatten()}


def channels(z: Tensor) -> Tensor:
    """Of [N, 2 * 4] logits, a decision a channel."""
    pairs = z.view(-1, 4, 2)
    return (pairs[..., 1] > pairs[..., 0]).float()


class Channels(Gated):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        y = F.relu(self.conv(x)) * self.score(x)[:, :, None, None]
        return self.fc(y.mean(dim=(2, 3)))


def test_two_logits_a_channel() -> None:
    torch.manual_seed(5)
    net = Channels(channels, outputs=8).eval()
    traced = trace(net, images(1))
    assert torch.allclose(traced(images()), net(images()), atol=1e-6)
    assert [m.out_features for m in traced.modules() if isinstance(m, nn.Linear)].count(4) == 1
    twin = prepare_qat(net, images(1))
    twin.calibrate([images()])
    assert bool(twin(images()).isfinite().all())


class Module(Gated):
    """A score layer of Penstock's behind the difference; two heads in place of one layer."""

    def __init__(self) -> None:
        super().__init__(lambda z: z)
        self.run, self.skip = nn.Linear(6, 1), nn.Linear(6, 1, bias=False)
        self.step = Step()

    def score(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.hidden(x.mean(dim=(2, 3))))
        return self.step((self.run(hidden) - self.skip(hidden))[:, 0])


def test_two_heads_and_a_score_layer() -> None:
    torch.manual_seed(6)
    net = Module().eval()
    traced = trace(net, images(1))
    assert torch.allclose(traced(images()), net(images()), atol=1e-6)
    assert len([m for m in traced.modules() if isinstance(m, nn.Linear)]) == 3
    twin = prepare_qat(net, images(1))
    twin.calibrate([images()])
    assert "Greater" in [node.op_type for node in export_qat(twin.eval()).graph.node]


class Both(Gated):
    """Skip and run decide a branch each: one layer, and one of both runs."""

    def __init__(self) -> None:
        super().__init__(lambda z: F.one_hot(z.argmax(dim=1), 2).float())
        self.other = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        score = self.score(x)
        x = F.relu(self.conv(x) * score[:, 1].view(-1, 1, 1, 1) + x)
        x = F.relu(self.other(x) * score[:, 0].view(-1, 1, 1, 1) + x)
        return self.fc(x.mean(dim=(2, 3)))


def test_both_decisions_are_opposites() -> None:
    torch.manual_seed(7)
    net = Both().eval()
    traced = trace(net, images(1))
    assert torch.allclose(traced(images()), net(images()), atol=1e-6)
    assert [m.out_features for m in traced.modules() if isinstance(m, nn.Linear)].count(1) == 1
    twin = prepare_qat(net, images(1))
    twin.calibrate([images()])
    operators = [node.op_type for node in export_qat(twin.eval()).graph.node]
    assert "Greater" in operators and "GreaterOrEqual" in operators


def test_a_network_of_two_classes_keeps_its_logits() -> None:
    """Softmax and difference of a network's own answers are no gate."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Any:
            z = self.fc(F.relu(self.conv(x)).mean(dim=(2, 3)))
            return z, z.softmax(dim=1)

    traced = trace(Two().eval(), images(1))
    assert [m.out_features for m in traced.modules() if isinstance(m, nn.Linear)] == [2]


def test_noise_in_evaluation_is_refused() -> None:
    net = Gated(lambda z: F.gumbel_softmax(z, hard=True)[:, 1])
    with pytest.raises(TraceError, match=r"draws random numbers in evaluation.*") as caught:
        prepare_qat(net, images(1))
    assert "if self.training" in caught.value.hint

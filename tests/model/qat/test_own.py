"""Modules of one's own: gated CNNs through training, export, compile and the integers."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.compiler.importer import import_model
from penstock.compiler.importer.onnx_file.load import infer
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Gate
from penstock.compiler.numerics import quantize
from penstock.model.errors import ModelError
from penstock.model.export import export_qat
from penstock.model.gates import BlockGate, ChannelGate, HardSigmoid, Step
from penstock.model.quantize import prepare_qat
from penstock.model.quantize.network import QatNetwork
from penstock.model.trace.tracer import TraceError


class GatedBlock(nn.Module):
    """A residual block whose branch and whose inner channels are gated."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.channels = ChannelGate(channels, channels, kind=kind)
        self.block = BlockGate(channels, kind=kind)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x))) * self.channels(x)
        return F.relu(x + self.bn2(self.conv2(y)) * self.block(x))


class GatedNet(nn.Module):
    """A small network as a user would write it."""

    def __init__(self, kind: str = "relu1") -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(inplace=True)
        )
        self.block1 = GatedBlock(8, kind)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.block2 = GatedBlock(16, kind)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, 5)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.block1(self.stem(x))
        x = self.pool(F.relu(self.down(x)))
        return self.head(self.block2(x))


def settled(net: nn.Module, seed: int) -> tuple[nn.Module, Tensor]:
    """With random statistics and gates that decide by the image; and images."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(64, 3, 12, 12, generator=generator)
    images = images * torch.rand(64, 1, 1, 1, generator=generator) * 2
    for module in net.modules():
        if isinstance(module, (ChannelGate, BlockGate)):
            module.fc.weight.data.normal_(std=2.0, generator=generator)
    net.train()
    for _ in range(3):
        net(images)
    return net.eval(), images


def integers(net: QatNetwork, images: Tensor) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Logits of the integer graph and the gates' scores."""
    graph = import_model(infer(export_qat(net)))
    value = graph.values[graph.input]
    values = run_graph(graph, quantize(images.numpy(), value.scale, value.signed))
    logits = values[graph.output] * np.float32(graph.values[graph.output].scale)
    gates = {n.output: values[n.output] for n in graph.nodes if isinstance(n, Gate)}
    return logits, gates


@pytest.mark.parametrize("kind", ["relu1", "binary", "hard_sigmoid"])
def test_own_gated_network_trains_and_is_the_integer_graph(kind: str) -> None:
    torch.manual_seed(3)
    net, images = settled(GatedNet(kind), seed=3)
    labels = torch.arange(64) % 5
    qat = prepare_qat(net, images[:1])
    qat.calibrate([images])
    qat.learn_scales()
    optimizer = torch.optim.SGD(qat.parameters(), lr=0.01)
    losses = []
    for _ in range(8):
        loss = F.cross_entropy(qat.train()(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    qat.fix_scales()
    logits, gates = integers(qat.eval(), images)
    expected = qat(images).detach().numpy()
    step = float(qat.quantizers()[-1].scale)
    # A step where a sum lies at a tie, no more; how many do is a matter of the machine's floats.
    assert np.abs(logits - expected).max() <= 1.001 * step
    assert (np.abs(logits - expected) > step / 2).mean() < 0.1
    assert len(gates) == len(dict(qat.gates())) == 4
    assert any((scores == 0).any() and (scores > 0).any() for scores in gates.values())


def test_gradients_reach_every_gate() -> None:
    net, images = settled(GatedNet(), seed=1)
    qat = prepare_qat(net, images[:1])
    qat.calibrate([images])
    qat.train()(images).square().sum().backward()
    gates = [p for name, p in qat.named_parameters() if "fc" in name]
    assert len(gates) == 8
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in gates)


def test_the_module_given_stays_as_it_is() -> None:
    net, images = settled(GatedNet(), seed=2)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    qat = prepare_qat(net.train(), images[:1])
    qat.calibrate([images])
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.mean() > 0:
            return x
        return -x


class TwoMaps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return (self.a(x) * self.b(x)).mean((2, 3))


class Softly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.conv(x), dim=1).mean((2, 3))


class Flat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * 144, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1))


class Threshold(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.conv = nn.Linear(3, 4), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        score = (self.fc(x.mean((2, 3))) > 0.3).float()
        return (self.conv(x) * score[:, :, None, None]).mean((2, 3))


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Branches(), ("cannot be traced", "test_own.py", "if x.mean() > 0", "gate layers")),
        (TwoMaps(), ("multiplies two maps", "self.a(x) * self.b(x)", "gate scores")),
        (Softly(), ("softmax", "no integer form")),
        (Flat(), ("reshapes", "pooled")),
        (Threshold(), ("compares with 0.3", "bias")),
        (nn.Conv2d(4, 4, 1), ("does not run on an example", "(1, 3, 12, 12)")),
    ],
)
def test_refusals_say_what_where_and_what_to_do(net: nn.Module, words: tuple[str, ...]) -> None:
    with pytest.raises(TraceError) as caught:
        prepare_qat(net, torch.zeros(1, 3, 12, 12))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_spellings_of_a_binary_gate_are_one() -> None:
    """z > 0, sigmoid(z) > 1/2 and the layer give the same graph."""

    class Spelled(nn.Module):
        def __init__(self, how: str) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.how = how
            self.fc, self.conv, self.step = nn.Linear(3, 4), nn.Conv2d(3, 4, 1), Step()

        def forward(self, x: Tensor) -> Tensor:
            z = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
            if self.how == "sigmoid":
                score = (torch.sigmoid(z) > 0.5).to(z.dtype)
            elif self.how == "sign":
                score = z.gt(0).float()
            else:
                score = self.step(z)
            return (F.relu(self.conv(x)) * score.view(-1, 4, 1, 1)).mean([-1, -2])

    images = torch.randn(32, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    found = []
    for how in ("sigmoid", "sign", "layer"):
        qat = prepare_qat(Spelled(how), images[:1])
        qat.calibrate([images])
        found.append(integers(qat.eval(), images))
    for logits, gates in found[1:]:
        assert np.array_equal(logits, found[0][0])
        ours, theirs = list(gates.values()), list(found[0][1].values())
        assert np.array_equal(ours, theirs)
        assert 0 < np.mean(np.array(ours) > 0) < 1


def test_spellings_of_a_hard_sigmoid_are_one() -> None:
    """torch's layer, its function and ours give the same graph, whose closed channels skip."""

    class Spelled(nn.Module):
        def __init__(self, score: nn.Module | Any) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.fc, self.conv, self.score = nn.Linear(3, 4), nn.Conv2d(3, 4, 1), score
            self.fc.weight.data *= 20

        def forward(self, x: Tensor) -> Tensor:
            score = self.score(self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1)))
            return (F.relu(self.conv(x)) * score.view(-1, 4, 1, 1)).mean([-1, -2])

    images = torch.randn(32, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    found = []
    for score in (HardSigmoid(), nn.Hardsigmoid(), F.hardsigmoid):
        net = Spelled(score).eval()
        qat = prepare_qat(net, images[:1])
        qat.calibrate([images])
        found.append(integers(qat.eval(), images))
        (scores,) = found[-1][1].values()
        z = net.fc(images.mean((2, 3))).detach()
        assert np.abs(scores.reshape(32, 4) / 128 - F.hardsigmoid(z).numpy()).max() < 0.02
        assert (scores == 0).any() and (scores == 128).any() and len(np.unique(scores)) > 8
    for logits, _ in found[1:]:
        assert np.array_equal(logits, found[0][0])


class Experts(nn.Module):
    """Two branches of which a gate's sign chooses one, behind a shortcut without weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, 2, padding=1)
        self.a, self.b = (nn.Conv2d(12, 12, 3, padding=1) for _ in range(2))
        self.fc, self.step, self.head = nn.Linear(12, 1), Step(), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = F.relu(self.stem(x))
        x = F.relu(self.down(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 3)))
        first = self.step(self.fc(x.mean((2, 3))))
        second = 1 - first
        x = F.relu(x + self.a(x) * first[:, :, None, None])
        x = F.relu(x + self.b(x) * second[:, :, None, None])
        return self.head(x.mean((2, 3))), [first, second]


def test_experts_and_a_shortcut_without_weights() -> None:
    torch.manual_seed(5)
    net = Experts()
    images = torch.randn(64, 3, 12, 12) * torch.rand(64, 1, 1, 1) * 2
    with torch.no_grad():
        x = F.relu(net.stem(images))
        x = F.relu(net.down(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 3)))
        net.fc.weight.mul_(4.0)
        net.fc.bias.copy_(-net.fc(x.mean((2, 3))).median() + net.fc.bias)
    qat = prepare_qat(net, images[:1])
    qat.calibrate([images])
    expected, (first, second) = qat.eval()(images)
    assert torch.equal(first + second, torch.ones(64, 1)) and 0 < float(first.mean()) < 1
    logits, gates = integers(qat, images)
    step = float(qat.quantizers()[-1].scale)
    assert np.abs(logits - expected.detach().numpy()).max() <= 2.5 * step
    assert len(gates) == 2
    chosen, other = (scores.reshape(-1) for scores in gates.values())
    assert (chosen + other == 128).all()
    assert (chosen == first.reshape(-1).numpy() * 128).all()


def test_the_rest_of_a_soft_gate_is_refused() -> None:
    class Soft(Experts):
        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.stem(x))
            score = torch.clamp(self.fc(F.relu(self.down(x)).mean((2, 3))), 0, 1)
            return (self.down(x) * (1 - score)[:, :, None, None]).mean((2, 3))

    with pytest.raises(TraceError, match=r"1 - score of a gate of kind relu1"):
        prepare_qat(Soft(), torch.zeros(1, 3, 12, 12))


def test_other_pads_are_refused() -> None:
    class Padded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.pad(x, (1, 1, 1, 1)).mean((2, 3))

    with pytest.raises(TraceError, match="zero channels alone"):
        prepare_qat(Padded(), torch.zeros(1, 3, 12, 12))


def test_results_that_a_module_keeps_do_not_hinder_its_copy() -> None:
    class Keeping(GatedNet):
        def forward(self, x: Tensor) -> Tensor:
            self.last = super().forward(x)
            self.all = [self.last * 2]
            return self.last

    net, images = Keeping(), torch.randn(4, 3, 12, 12)
    net(images).sum().backward()
    assert not net.last.is_leaf
    prepare_qat(net, images[:1])
    assert net.last.grad_fn is not None


def small() -> nn.Sequential:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), *head)


def test_mistakes_are_a_line_each(capfd: pytest.CaptureFixture[str]) -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    broken = small()
    with torch.no_grad():
        broken[0].weight[0] = float("nan")  # type: ignore[index, operator]
    diverged = prepare_qat(small(), images)
    diverged.calibrate([images])
    with torch.no_grad():
        next(diverged.net.parameters()).fill_(float("inf"))
    fresh = prepare_qat(small(), images)
    mistakes: list[tuple[Any, str]] = [
        (lambda: prepare_qat(broken, images), "'0.weight' of Sequential holds NaN"),
        (lambda: prepare_qat(small(), images[0]), r"\(3, 8, 8\): mat1 and mat2"),
        (lambda: prepare_qat(small(), images.double()), "float64"),
        (lambda: prepare_qat(small(), "images"), "a str where a Tensor belongs"),  # type: ignore[arg-type]
        (lambda: prepare_qat(3, images), "a int where a Module belongs"),  # type: ignore[arg-type]
        (lambda: export_qat(fresh), "was not calibrated"),
        (lambda: export_qat(diverged), "holds NaN or infinity"),
        (lambda: fresh.calibrate([]), "no image to calibrate"),
        (lambda: fresh.calibrate([images[:0]]), "no image to calibrate"),
        (lambda: fresh.calibrate([images, images / 0]), "holds NaN or infinity"),
    ]
    for mistake, words in mistakes:
        with pytest.raises(ModelError, match=words) as caught:
            mistake()
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""

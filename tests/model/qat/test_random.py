"""Random small modules of supported layers: QAT's forward pass against the integer graph.

A value next to a rounding tie may land one step away, and what follows can carry that on
(docs/numerics.md); an image on which a gate that decides by its sign flips is left out.
"""

from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from penstock.compiler.importer import import_model
from penstock.compiler.importer.load import infer
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Gate
from penstock.compiler.numerics import quantize
from penstock.model.export import export_qat
from penstock.model.gates import BlockGate, ChannelGate, SigmoidScore
from penstock.model.quantize import prepare_qat

CLASSES = 5
#: Steps of the logits, of 127, that any may be away, and their mean.  One step of a pooled value
#: may be two of a logit, where channels are few.
STEPS, MEAN = 6.0, 1.0
#: More for each squeeze-and-excite: one step of its sigmoid's input is two of every score.
EXCITE_STEPS = 2.0


class Residual(nn.Module):
    """A residual block in one of the usual forms."""

    def __init__(self, channels: int, out: int, stride: int, gates: str, kind: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1)
        self.bn1, self.bn2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        same = channels == out and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(channels, out, 1, stride)
        self.channels = ChannelGate(channels, out, kind=kind) if "c" in gates else None
        self.block = BlockGate(channels, kind=kind) if "b" in gates else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = y * self.channels(x) if self.channels is not None else y
        y = self.bn2(self.conv2(y))
        y = y * self.block(x) if self.block is not None else y
        return F.relu(y + self.skip(x))


class Branches(nn.Module):
    """Two convolutions side by side, and perhaps their input."""

    def __init__(self, channels: int, out: int, dense: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(channels, out, 3, padding=1), nn.Conv2d(channels, out, 1)
        self.dense = dense

    def forward(self, x: Tensor) -> Tensor:
        parts = [F.relu(self.a(x)), F.relu(self.b(x))]
        return torch.cat([x, *parts] if self.dense else parts, dim=1)


class Excite(nn.Module):
    """Squeeze-and-excite."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(channels, 4), nn.Linear(4, channels)
        self.score = SigmoidScore()

    def forward(self, x: Tensor) -> Tensor:
        z = self.up(F.relu(self.down(x.mean((2, 3)))))
        return x * self.score(z).unsqueeze(-1).unsqueeze(-1)


@st.composite
def modules(draw: Any) -> nn.Module:
    """A stack of one to four pieces and a classifier, freshly initialised."""
    torch.manual_seed(draw(st.integers(0, 2**31 - 1)))
    channels, layers = draw(st.sampled_from([4, 6, 9])), []
    norm = [nn.BatchNorm2d(channels)] if draw(st.booleans()) else []
    limit = draw(st.sampled_from([nn.ReLU(), nn.ReLU6(inplace=True), nn.Hardtanh(0, 2)]))
    layers += [nn.Conv2d(3, channels, 3, padding=1, bias=not norm), *norm, limit]
    for _ in range(draw(st.integers(1, 4))):
        out = draw(st.sampled_from([4, 6, 10]))
        piece = draw(st.sampled_from(["conv", "depthwise", "pool", "residual", "branches", "se"]))
        if piece == "conv":
            stride = draw(st.sampled_from([1, 2]))
            layers += [nn.Conv2d(channels, out, 3, stride, 1), nn.BatchNorm2d(out), nn.ReLU()]
        elif piece == "depthwise":
            layers += [nn.Conv2d(channels, channels, 3, 1, 1, groups=channels), nn.ReLU6()]
            layers += [nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out)]
        elif piece == "pool":
            pools = [nn.MaxPool2d(2), nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(2), nn.Dropout(0.2)]
            layers.append(draw(st.sampled_from(pools)))
            out = channels
        elif piece == "residual":
            gates, kind = (
                draw(st.sampled_from(["", "c", "b", "cb"])),
                draw(st.sampled_from(["relu1", "binary"])),
            )
            stride = 1 if "b" in gates else draw(st.sampled_from([1, 2]))
            out = channels if "b" in gates else out
            layers.append(Residual(channels, out, stride, gates, kind))
        elif piece == "branches":
            dense = draw(st.booleans())
            layers.append(Branches(channels, out, dense))
            out = 2 * out + dense * channels
        else:
            layers.append(Excite(channels))
            out = channels
        channels = out
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)
    )


def prepared(net: nn.Module, seed: int) -> tuple[nn.Module, Tensor]:
    """With statistics, gates that decide by the image, and images of many strengths."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(24, 3, 12, 11, generator=generator)
    images = images * (0.2 + torch.rand(24, 1, 1, 1, generator=generator) * 2)
    for module in net.modules():
        if isinstance(module, (ChannelGate, BlockGate)):
            module.fc.weight.data.normal_(std=1.0, generator=generator)
            module.fc.bias.data.normal_(std=0.3, generator=generator)
    net.train()
    for _ in range(3):
        net(images)
    return net.eval(), images


@settings(
    max_examples=25,
    deadline=None,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(net=modules(), seed=st.integers(0, 2**31 - 1), steps=st.integers(0, 2))
def test_forward_is_the_integer_graph(net: nn.Module, seed: int, steps: int) -> None:
    net, images = prepared(net, seed)
    qat = prepare_qat(net, images[:1])
    qat.calibrate([images])
    optimizer = torch.optim.SGD(qat.parameters(), lr=1e-3)
    for _ in range(steps):  # a fine-tuned one is no other
        loss = F.cross_entropy(qat.train()(images), torch.arange(24) % CLASSES)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expected = qat.eval()(images).detach().numpy()
    graph = import_model(infer(export_qat(qat)))
    value = graph.values[graph.input]
    values = run_graph(graph, quantize(images.numpy(), value.scale, value.signed))
    step = float(graph.values[graph.output].scale)
    apart = np.abs(values[graph.output] * np.float32(step) - expected) / step
    ours = [gate.scores for _, gate in qat.gates()]
    theirs = [values[node.output] for node in graph.nodes if isinstance(node, Gate)]
    assert len(ours) == len(theirs)
    same = np.ones(len(images), bool)
    for mine, its in zip(ours, theirs, strict=True):
        assert mine is not None
        off = np.abs(mine.detach().numpy().reshape(its.shape) * 128 - its)
        same &= (off.reshape(len(off), -1) < 64).all(axis=1)  # no gate flipped
    assert same.mean() > 0.8
    excites = sum(isinstance(module, Excite) for module in net.modules())
    assert apart[same].max() <= STEPS + EXCITE_STEPS * excites
    assert apart[same].mean() <= MEAN


def test_the_comparison_can_fail() -> None:
    """A weight that is one step off shows."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    net, images = prepared(nn.Sequential(*layers, nn.Linear(6, CLASSES)), 1)
    qat = prepare_qat(net, images[:1])
    qat.calibrate([images])
    model = export_qat(qat.eval())
    with torch.no_grad():
        qat.net.get_submodule("4").weight.mul_(1.1)  # type: ignore[operator, union-attr]
    graph = import_model(infer(model))
    value = graph.values[graph.input]
    values = run_graph(graph, quantize(images.numpy(), value.scale, value.signed))
    step = float(graph.values[graph.output].scale)
    apart = np.abs(values[graph.output] * np.float32(step) - qat(images).detach().numpy()) / step
    assert apart.max() > STEPS

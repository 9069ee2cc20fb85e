"""Random small modules of supported layers: QAT's forward pass against the integer graph.

Layer by layer: each computes on the values that the integer graph has there, and may differ from
it where docs/numerics.md says, next to a rounding tie, by one step.  So nothing is carried on, and
no number is left to choose for the logits.
"""

import operator
from typing import Any

import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn import functional as F

from penstock.compiler.importer import import_model
from penstock.compiler.importer.onnx_file.load import infer
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Graph
from penstock.compiler.numerics import quantize
from penstock.model.export import export_qat
from penstock.model.export.qdq import _Emitter
from penstock.model.gates import BlockGate, ChannelGate, SigmoidScore
from penstock.model.gates.score import hard_sigmoid_line
from penstock.model.quantize import QatNetwork, prepare_qat
from penstock.model.quantize.layers import GateScore
from penstock.model.quantize.quantizers import ActivationQuantizer

CLASSES = 5
#: Of a value in steps, before it is rounded: how near a tie it must be for both to differ.  The
#: multiplier is off by 2^-16 of at most 2^8 steps of a sum and 2^8 of its residual; the rest is
#: float32's.
TIE = 2.0**-7
#: A score s folds into the multiplier as (m s + 64) >> 7, m at least 2^15: 2^-9 of the result at
#: s = 1.
FOLDED = 2.0**-9
#: A gate that decides by a sign may flip where float32 cannot tell the sign: of the sum's terms.
SIGN = 2.0**-18


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
                draw(st.sampled_from(["relu1", "binary", "hard_sigmoid"])),
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
    check_layers(qat.eval(), export_qat(qat), images)


class Forced(fx.Interpreter):
    """The quantised graph on the integer graph's values: each layer's result is compared, then
    replaced by the integer graph's."""

    def __init__(
        self, net: QatNetwork, names: dict[fx.Node, str], graph: Graph, images: Any
    ) -> None:
        super().__init__(net.net)
        self.names, self.source = names, graph
        value = graph.values[graph.input]
        self.codes = run_graph(graph, quantize(images, value.scale, value.signed))
        self.compared = 0

    def run_node(self, n: fx.Node) -> Any:
        out = super().run_node(n)
        module = self.module.get_submodule(n.target) if n.op == "call_module" else None
        name = self.names.get(n, "").replace("dequantize_output", "quantize_output")
        if isinstance(module, ActivationQuantizer):
            name = name if n.args[0].op != "placeholder" else self.source.input
            step, before = float(module.scale), self.env[n.args[0]] / module.scale
            codes = torch.from_numpy(self.codes[name]).float().reshape(out.shape)
            self.near_ties(name, (out / step).round(), codes, before, self.folded(n.args[0]))
            out = codes * module.scale
        elif isinstance(module, GateScore):
            codes = torch.from_numpy(self.codes[name]).float().reshape(out.shape)
            self.scores(name, module.kind, out * 128, codes, self.env[n.args[0]])
            out = codes / 128
        else:
            return out
        self.compared += 1
        return out

    def near_ties(
        self, name: str, ours: Tensor, theirs: Tensor, before: Tensor, folded: bool
    ) -> None:
        """One step at most, and only where the value is next to a tie."""
        apart = (ours - theirs).abs()
        assert apart.max() <= 1, f"{name}: {apart.max()} steps"
        distance = ((before - before.floor()) - 0.5).abs()
        near = TIE + FOLDED * before.abs() if folded else torch.full_like(before, TIE)
        far = distance[(apart > 0) & (distance > near)]
        assert not far.numel(), f"{name}: {far.max()} from a tie"

    def scores(self, name: str, kind: str, ours: Tensor, theirs: Tensor, z: Tensor) -> None:
        """ReLU-1 as any layer; of a sigmoid one step of its input, 2 of the score; signs."""
        apart = (ours - theirs).abs()
        if kind == "relu1":
            self.near_ties(name, ours.round(), theirs, z * 128, folded=False)
        elif kind == "hard_sigmoid":
            self.near_ties(name, ours.round(), theirs, hard_sigmoid_line(z) * 128, folded=False)
        elif kind == "sigmoid":
            z_apart = ((z * 16 - (z * 16).floor()) - 0.5).abs()
            assert apart.max() <= 2 and bool((z_apart[apart > 0] <= TIE).all()), name
        else:
            assert bool((z[apart > 0].abs() <= SIGN * z.abs().max()).all()), name

    def folded(self, node: fx.Node) -> bool:
        """Whether a score has scaled what a quantiser reads."""
        while node.op == "call_function" and node.target is not operator.mul:
            node = node.all_input_nodes[0]
        return node.target is operator.mul


def check_layers(net: QatNetwork, model: onnx.ModelProto, images: Tensor) -> None:
    """Every layer of a network on the integer graph's own values."""
    emit = _Emitter(net, str)
    for node in net.net.graph.nodes:
        emit.node(node)
    names = {node: name for node, name in emit.at.items() if isinstance(name, str)}
    graph = import_model(infer(model))
    with torch.no_grad():
        forced = Forced(net, names, graph, images.numpy())
        forced.run(images)
    kinds = (ActivationQuantizer, GateScore)
    used = {node.target for node in net.net.graph.nodes if node.op == "call_module"}
    modules = [net.net.get_submodule(target) for target in used]
    assert forced.compared >= sum(isinstance(module, kinds) for module in modules)


def test_the_comparison_can_fail() -> None:
    """Weights that are a hundredth off show."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    net, images = prepared(nn.Sequential(*layers, nn.Linear(6, CLASSES)), 1)
    qat = prepare_qat(net, images[:1])
    qat.calibrate([images])
    model = export_qat(qat.eval())
    with torch.no_grad():
        qat.net.get_submodule("4").weight.mul_(1.01)  # type: ignore[operator, union-attr]
    with pytest.raises(AssertionError, match=r"10\.quantize_output|4\.quantize_output|steps|tie"):
        check_layers(qat, model, images)

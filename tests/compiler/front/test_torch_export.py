"""Networks as PyTorch's own exporters write them, not ours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler import ir
from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_graph
from penstock.compiler.numerics import quantize

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
SCALES = {"image": 0.05, "map": 0.04, "pooled": 0.02, "logits": 0.03}


def fake(x: Any, scale: float, signed: bool = True) -> Any:
    low, high = (-128, 127) if signed else (0, 255)
    return torch.fake_quantize_per_tensor_affine(x, scale, 0, low, high)


def fake_weight(w: Any) -> Any:
    scale = w.detach().abs().flatten(1).amax(1) / 127
    zero = torch.zeros(len(w), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(w, scale, zero, 0, -128, 127)


class Block(nn.Module):
    """A stem and one gated block with a projection shortcut; a gated classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.conv1 = nn.Conv2d(12, 20, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(20, 20, 3, padding=1)
        self.shortcut = nn.Conv2d(12, 20, 1, stride=2)
        self.cnet, self.lnet = nn.Linear(12, 20), nn.Linear(12, 1)
        self.fc = nn.Linear(20, 10)

    def conv(self, layer: Any, x: Any) -> Any:
        weight = fake_weight(layer.weight)
        return functional.conv2d(x, weight, layer.bias, layer.stride, layer.padding)

    def linear(self, layer: Any, x: Any) -> Any:
        return functional.linear(x, fake_weight(layer.weight), layer.bias)

    def forward(self, x: Any) -> Any:
        x = fake(x, SCALES["image"])
        x = fake(torch.relu(self.conv(self.stem, x)), SCALES["map"], signed=False)
        pooled = fake(x.mean(dim=(2, 3)), SCALES["pooled"], signed=False)
        channels = fake(self.linear(self.cnet, pooled).clamp(0, 1), 1 / 128, signed=False)
        block = (torch.sigmoid(self.linear(self.lnet, pooled)) > 0.5).float()
        y = torch.relu(self.conv(self.conv1, x)) * channels[:, :, None, None]
        y = self.conv(self.conv2, fake(y, SCALES["map"], signed=False)) * block[:, :, None, None]
        y = torch.relu(y + fake(self.conv(self.shortcut, x), SCALES["map"]))
        y = fake(y, SCALES["map"], signed=False)
        pooled = functional.adaptive_avg_pool2d(y, 1).flatten(1)
        return fake(self.linear(self.fc, fake(pooled, SCALES["pooled"], False)), SCALES["logits"])


@pytest.mark.parametrize("dynamo", [False, True])
def test_exported_block(dynamo: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    """Tolerance: 2 steps of the logits (differences of three layers add up), 5 % of them."""
    if dynamo:
        pytest.importorskip("onnxscript")
    torch.manual_seed(3)
    net = Block().eval()
    path = tmp_path / "block.onnx"
    images = rng.normal(0, 1.5, (16, 3, 11, 14)).astype(np.float32)
    sample = (torch.from_numpy(images[:1]),)
    torch.onnx.export(net, sample, path, opset_version=18, dynamo=dynamo)
    graph = import_onnx(path)
    kinds = [type(node).__name__ for node in graph.nodes]
    assert sorted(kinds) == ["Conv"] * 4 + ["Dense"] + ["Gate"] * 2 + ["Pool"] * 2
    gates = [node for node in graph.nodes if isinstance(node, ir.Gate)]
    assert sorted(gate.binary for gate in gates) == [False, True]
    with torch.no_grad():
        expected = net(torch.from_numpy(images)).numpy() / SCALES["logits"]
    got = run_graph(graph, quantize(images, SCALES["image"], signed=True))[graph.output]
    steps = np.abs(got - np.rint(expected))
    assert steps.max() <= 2 and (steps > 0).mean() <= 0.05

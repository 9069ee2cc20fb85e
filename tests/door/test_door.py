"""The Python door: a network of one's own compiled, called, compared, asked, saved."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import penstock

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from penstock.model.gates import BlockGate, ChannelGate, SigmoidScore  # noqa: E402

SEED = int(np.random.SeedSequence().entropy % 2**32)  # type: ignore[operator]


class Block(nn.Module):
    """A residual block with both gates."""

    def __init__(self, channels: int, bias: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.channels, self.block = ChannelGate(channels, channels), BlockGate(channels)
        for gate, middle in ((self.channels, 0.0), (self.block, bias)):
            nn.init.normal_(gate.fc.weight, std=1.0)
            nn.init.constant_(gate.fc.bias, middle)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x))) * self.channels(x)
        return F.relu(x + self.bn2(self.conv2(y)) * self.block(x))


def own(bias: float = 0.0) -> nn.Module:
    """A network of nobody's zoo: 3 x 9 x 7 images, 5 classes."""
    stem = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)]
    return nn.Sequential(*stem, Block(8, bias), *head).eval()


@pytest.fixture(scope="module")
def images() -> Any:
    print("seed", SEED)
    torch.manual_seed(SEED)
    return torch.randn(16, 3, 9, 7)


@pytest.fixture(scope="module")
def net(images: Any) -> penstock.Network:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of random gates
        return penstock.compile(own(), images[:1], calibration=images, target="tiny")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Random gates may be open for every image; that is what the warning is for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "gate '")
        yield


def test_module_is_called_as_on_a_board(net: penstock.Network, images: Any) -> None:
    logits = net(images)
    assert (logits.dtype, logits.shape) == (np.dtype(np.float32), (16, 5))
    assert np.array_equal(logits, net(images.numpy(), engine="graph"))
    assert np.array_equal(logits, net(images.double()))
    assert np.abs(net(images, engine="onnx") - logits).max() < 0.06 * np.abs(logits).max()
    assert net.run(images).labels.shape == (16,)


def test_csim_is_equal(net: penstock.Network, images: Any) -> None:
    assert np.array_equal(net(images[:3], engine="csim"), net(images[:3]))


@pytest.mark.slow
def test_simulated_core_is_equal(net: penstock.Network, images: Any) -> None:
    found = net.compare(images[:4])
    assert found.equal
    assert list(found.differ.items()) == [("golden", 0), ("rtl", 0)]
    assert found.runs["rtl"].counters["cycles"].min() > 0


def test_compare_says_what_differs(net: penstock.Network, images: Any) -> None:
    found = net.compare(images, ("golden", "graph"), layers=True)
    assert found.equal and found.check is not None and found.original is not None
    assert found.original.rms < 0.2 and "in PyTorch" in found.original.name
    text = str(found)
    for part in ("golden", "graph", "RMS", "/0/Conv", "/3/conv1/Conv"):
        assert part in text
    assert "<table>" in found._repr_html_()
    other = net.compare(images, ("golden",), original=own())
    assert other.original is not None and other.original.rms > found.original.rms


def test_a_difference_is_seen(net: penstock.Network, images: Any) -> None:
    found = net.compare(images, ("golden", "graph"))
    run = found.runs["graph"]
    run.results[3, -1] ^= 1
    from penstock.engines import first_mismatch, mismatches

    assert mismatches(found.runs["golden"], run) == 1
    assert "image 3" in first_mismatch(found.runs["golden"], run)


def test_gates_tell_what_they_skip(images: Any, net: penstock.Network) -> None:
    block, channels = sorted(net.gates, key=lambda gate: gate.scores)
    assert block.skips == ("/3/conv1/Conv", "/3/conv2/Conv") and not block.never
    assert (channels.outputs, channels.inputs) == (("/3/conv1/Conv",), ("/3/conv2/Conv",))
    assert set(net.run(images).scores) == {gate.name for gate in net.gates}
    assert "output channels of /3/conv1/Conv" in str(net.gates)


def test_gates_that_never_skip_are_called_so(images: Any) -> None:
    """By their weights, and by their kind."""
    wide = own()
    nn.init.zeros_(wide[3].block.fc.weight)
    nn.init.constant_(wide[3].block.fc.bias, 1.0)
    wide[3].channels.score = SigmoidScore()
    with pytest.warns(penstock.PenstockWarning, match="never closes") as said:
        made = penstock.compile(wide, calibration=images, target="tiny")
    assert any("sigmoid" in str(one.message) for one in said)
    for gate in made.gates:
        assert gate.never and "can never skip" in gate.describe()


def test_estimate_and_listing(net: penstock.Network) -> None:
    dense, half = net.estimate(), net.estimate(keep=0.5, blocks_skipped=1.0)
    assert half.cycles < dense.cycles and half.weight_bytes < dense.weight_bytes
    assert "(estimate)" in str(half) and "<table>" in half._repr_html_()
    assert "CONV" in net.listing()
    with pytest.raises(penstock.PenstockError, match="keep is 2"):
        net.estimate(keep=2)


def test_saved_is_loaded(net: penstock.Network, images: Any, tmp_path: Path) -> None:
    net.save(tmp_path / "net")
    loaded = penstock.load(tmp_path / "net")
    assert np.array_equal(loaded(images), net(images))
    assert [gate.never for gate in loaded.gates] == [gate.never for gate in net.gates]
    assert loaded.compare(images, ("golden",)).original is None
    lone = penstock.load(tmp_path / "net" / "program.pspkg")
    assert np.array_equal(lone(images), net(images))
    with pytest.raises(penstock.PenstockError, match="ONNX file"):
        lone(images, engine="graph")
    assert "tiny" in repr(loaded) and "<table>" in loaded._repr_html_()


def test_path_model_and_module_are_one_program(images: Any, tmp_path: Path) -> None:
    """A quantised module, its ONNX model in memory, the file: the same bytes."""
    torch.manual_seed(3)
    qat = penstock.prepare_qat(own(), images[:1])
    qat.calibrate([images])
    from penstock.model.export import export_qat

    model = export_qat(qat.eval())
    onnx.save(model, tmp_path / "own.onnx")
    made = [
        penstock.compile(qat, calibration=images, target="z7020"),
        penstock.compile(model, target="pynq-z2"),
        penstock.compile(tmp_path / "own.onnx", target="z7020"),
        penstock.compile(str(tmp_path / "own.onnx")),
    ]
    programs = {net.compiled.package.descriptors + net.compiled.package.weights for net in made}
    assert len(programs) == 1
    assert [net.board.name if net.board else "" for net in made] == ["", "pynq-z2", "", "pynq-z2"]
    figures = made[0].compare(images, ("golden",)).original
    assert figures is not None and figures.rms < 0.02


def test_uncalibrated_module_is_calibrated_or_refused(images: Any) -> None:
    qat = penstock.prepare_qat(own(), images[:1])
    with pytest.raises(penstock.PenstockError, match="was not calibrated"):
        penstock.compile(qat)
    assert penstock.compile(qat, calibration=images)(images).any()
    assert all(float(quantizer.scale) == 0 for quantizer in qat.quantizers())


class Branches(nn.Module):
    """Its forward pass asks for the values of its input."""

    def forward(self, x: Tensor) -> Tensor:
        if x.mean() > 0:
            return x
        return -x


@pytest.mark.parametrize(
    "model, arguments, message",
    [
        (own, {}, "needs an example"),
        (Branches, {"example": np.zeros((1, 3, 8, 8), np.float32)}, r"test_door.py:\d+ if x.mean"),
        (lambda: 3, {}, "a network of type int"),
        (lambda: "nowhere.onnx", {}, "no such file"),
        (own, {"target": "pynq-z9"}, "unknown target 'pynq-z9'; a board: kv260"),
        (own, {"calibration": np.full((2, 3, 9, 7), np.nan, np.float32)}, "image 0 holds NaN"),
        (own, {"calibration": np.zeros((2, 9, 7), np.float32)}, "does not run on"),
        (own, {"calibration": [[1, 2], [3]]}, "NumPy does not take"),
        (own, {"example": np.zeros((1, 3, 9, 7), np.float32), "check": True}, "needs images"),
    ],
)
def test_mistakes_are_one_line(model: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(penstock.PenstockError, match=message) as said:
        penstock.compile(model(), **arguments)
    assert "\n" not in str(said.value)


def test_weights_that_are_no_numbers(images: Any) -> None:
    net = own()
    net[0].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(penstock.PenstockError, match=r"'0\.weight' of Sequential holds NaN"):
        penstock.compile(net, calibration=images)


def test_engines_and_images_that_are_none(net: penstock.Network, images: Any) -> None:
    with pytest.raises(penstock.PenstockError, match="unknown engine 'gpu'; one of golden"):
        net(images, engine="gpu")
    with pytest.raises(penstock.PenstockError, match="unknown engine"):
        net.compare(images, ("golden", "gpu"))
    with pytest.raises(penstock.PenstockError, match="3 x 9 x 7"):
        net(images[:, :2])
    with pytest.warns(penstock.PenstockWarning, match=r"\d+\.\d% of the image values saturate"):
        net(images * 300)


def test_importing_it_imports_nothing() -> None:
    code = (
        "import sys, penstock\n"
        "assert penstock.__version__[0].isdigit()\n"
        "heavy = {'numpy', 'onnx', 'torch', 'penstock.compiler', 'penstock.model'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert set(penstock.__all__) <= set(dir(penstock))\n"
        "penstock.compile, penstock.load, penstock.Network\n"
        "assert not {'onnx', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = penstock.nothing  # type: ignore[attr-defined]

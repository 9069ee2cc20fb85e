"""A command-line runner, and a small compiled network made once a session."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from penstock.cli.main import main

Runner = Callable[..., "Result"]


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a command returned and printed."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error message; fails unless the command refused with one line and exit code 2."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert self.err.endswith(lines[0] + "\n")
        return lines[0]


@pytest.fixture
def penstock(capfd: pytest.CaptureFixture[str]) -> Runner:
    """Runs the command line in this process: penstock("train", "--seed", 3) -> Result."""

    def run(*arguments: object) -> Result:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@dataclasses.dataclass(frozen=True, slots=True)
class Workspace:
    """Files of one small gated network: 2 x 8 x 6 images, 4 / 6 / 10 channels, 5 classes."""

    onnx: Path
    images: Path
    labels: Path
    compiled: Path  # for `tiny`


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """An untrained network, half of whose channels every image skips, compiled for `tiny`."""
    import onnx

    torch = pytest.importorskip("torch")

    from penstock.model import ResNetConfig, build_onnx, random_images, random_network

    folder = tmp_path_factory.mktemp("cli")
    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), classes=5)
    net = random_network(config, keep_blocks=0.7, seed=3)
    onnx.save(build_onnx(net), folder / "net.onnx")
    images = random_images(config, 6, torch.Generator().manual_seed(5)).numpy()
    np.save(folder / "images.npy", images.astype(np.float32))
    np.save(folder / "labels.npy", np.arange(6) % 5)
    code = main(
        ["compile", str(folder / "net.onnx"), "--config", "tiny", "-o", str(folder / "net")]
    )
    assert code == 0
    return Workspace(
        onnx=folder / "net.onnx",
        images=folder / "images.npy",
        labels=folder / "labels.npy",
        compiled=folder / "net",
    )

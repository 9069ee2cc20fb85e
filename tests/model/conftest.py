"""One trained digits network and one random network, shared by all tests here."""

from pathlib import Path

import pytest
import torch

from penstock.model import (
    Dataset,
    QuantNetwork,
    ResNetConfig,
    TrainResult,
    export_checkpoint,
    load_checkpoint,
    load_dataset,
    random_network,
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two cores are shared with everything else that runs."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """scikit-learn's digits."""
    return load_dataset("digits", None)


@pytest.fixture(scope="session")
def trained(demo_folder: Path) -> TrainResult:
    """The demo's network, which `train_network` makes with its defaults."""
    path = demo_folder / "checkpoint.pt"
    return TrainResult(checkpoint=path, metrics=load_checkpoint(path).metrics, writes=True)


@pytest.fixture(scope="session")
def digits_onnx(trained: TrainResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's network, exported."""
    path = tmp_path_factory.mktemp("digits") / "digits.onnx"
    export_checkpoint(trained.checkpoint, path)
    return path


@pytest.fixture(scope="session")
def odd_config() -> ResNetConfig:
    """A small network in which no size is a power of two."""
    return ResNetConfig(depth=8, in_channels=3, input_size=(24, 20), widths=(12, 20, 36))


@pytest.fixture(scope="session")
def odd_network(odd_config: ResNetConfig) -> QuantNetwork:
    """An untrained network of that shape, half its channels and most blocks open."""
    return random_network(odd_config, keep_channels=0.5, keep_blocks=0.8, seed=1)

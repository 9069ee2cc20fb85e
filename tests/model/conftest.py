"""One trained digits network and one random network, shared by all tests here."""

from pathlib import Path

import pytest
import torch

from penstock.model import (
    Dataset,
    QuantNetwork,
    ResNetConfig,
    TrainConfig,
    TrainResult,
    export_checkpoint,
    load_dataset,
    random_network,
    train_network,
)

DIGITS_SEED = 0


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two cores are shared with everything else that runs."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """scikit-learn's digits."""
    return load_dataset("digits", None)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The demo's network: `train_network` with its defaults, half a minute."""
    out = tmp_path_factory.mktemp("digits") / "digits.pt"
    return train_network(TrainConfig(seed=DIGITS_SEED, out=out, quiet=True))


@pytest.fixture(scope="session")
def digits_onnx(trained: TrainResult) -> Path:
    """The demo's network, exported."""
    path = trained.checkpoint.with_suffix(".onnx")
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

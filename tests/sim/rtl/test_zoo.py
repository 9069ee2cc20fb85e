"""100 CIFAR-10 test images through the simulated core, with trained gates, byte for byte."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from penstock.compiler.api import compile_onnx
from penstock.model import load_dataset
from penstock.model.zoo import DEMO_NETWORKS, zoo_onnx
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim.golden import run as run_golden
from penstock.sim.rtl.engine import RtlCore

IMAGES = 100
LEAST_ACCURACY = 0.8  # far below the network's, far above a broken one's


@pytest.fixture(scope="session")
def cifar10(repository: Path) -> Path:
    """The folder of CIFAR-10's binary files, unpacked once; skips where there is no data."""
    folder = repository / "build" / "cifar10"
    unpack = repository.parent / "shared" / "data" / "unpack_cifar10.py"
    if not (folder / "cifar-10-batches-bin" / "test_batch.bin").is_file():
        if not unpack.is_file():
            pytest.skip(f"no CIFAR-10 data: {unpack} is not there")
        subprocess.run([sys.executable, str(unpack), str(folder)], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "schedule, count",
    [
        ("sequential", 20),
        pytest.param("sequential", IMAGES, marks=pytest.mark.long),
        pytest.param("parallel", IMAGES, marks=pytest.mark.long),
    ],
)
def test_cifar10_is_bit_exact(cifar10: Path, schedule: str, count: int) -> None:
    data = load_dataset("cifar10", cifar10)
    images = data.normalize(data.test_images[:count]).numpy().astype(np.float32)
    config = get_config("z7020")
    network = compile_onnx(zoo_onnx(DEMO_NETWORKS["cifar10"]), config, schedule)
    inputs = network.quantize_input(images)
    golden = run_golden(network.package, inputs)
    core = RtlCore(config, assertions=False)
    records = core.run(network.package, inputs)
    core.close()
    assert np.array_equal(golden[:, COUNTER_BYTES:], records[:, COUNTER_BYTES:])
    if count == IMAGES:
        labels = network.decode_output(records).label
        assert (labels == data.test_labels[:count].numpy()).mean() > LEAST_ACCURACY

"""uint8 photographs through the door and the commands, normalised by the program itself."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import penstock

torch = pytest.importorskip("torch")

from penstock.compiler.compiled import MODEL_FILE  # noqa: E402
from penstock.host.codec import InputCodec  # noqa: E402
from penstock.model.checkpoint.export import export_checkpoint  # noqa: E402
from penstock.model.train.config import TrainConfig  # noqa: E402
from penstock.model.train.flow import train_network  # noqa: E402

NAMES = ("ant", "bee", "cat", "dog", "eel")
PHOTOS = penstock.Pixels(name="photos", full_scale=255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "gate '")
        yield


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    return np.random.default_rng(8).integers(0, 256, (12, 3, 9, 7), dtype=np.uint8)


def module() -> Any:
    torch.manual_seed(1)
    layers = [torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU()]
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 5)]
    return torch.nn.Sequential(*layers, *head).eval()


@pytest.fixture(scope="module")
def net(photographs: np.ndarray) -> penstock.Network:
    return penstock.compile(
        module(), calibration=photographs, target="tiny", pixels=PHOTOS, class_names=NAMES
    )


def test_photographs_are_real_values(net: penstock.Network, photographs: np.ndarray) -> None:
    assert net.pixels == PHOTOS and net.class_names == NAMES
    expected = net(PHOTOS.normalize(photographs))
    assert np.array_equal(net(photographs), expected)
    assert np.array_equal(net(np.moveaxis(photographs, 1, -1)), expected)
    assert np.array_equal(net(torch.from_numpy(photographs)), expected)
    assert np.array_equal(net(np.moveaxis(photographs[3], 0, -1)), expected[3:4])
    assert net.compare(photographs, ("golden", "graph")).equal
    with torch.no_grad():
        ours = module()(torch.from_numpy(PHOTOS.normalize(photographs))).numpy()
    assert np.abs(ours - expected).max() < 0.1 * np.abs(ours).max()


def test_calibration_by_photographs_is_by_their_values(photographs: np.ndarray) -> None:
    last = np.moveaxis(photographs, 1, -1)
    nets = [
        penstock.compile(module(), calibration=images, target="tiny", pixels=PHOTOS)
        for images in (photographs, last, PHOTOS.normalize(photographs))
    ]
    assert len({net.compiled.package.weights for net in nets}) == 1
    assert len({net.compiled.package.meta["input"]["scale"] for net in nets}) == 1


def test_the_driver_makes_the_same_bytes(net: penstock.Network, photographs: np.ndarray) -> None:
    expected = net.compiled.quantize_input(PHOTOS.normalize(photographs))
    codec = InputCodec(net.compiled.package.meta["input"], batch=12)
    codes = np.empty((12, codec.size), codec.dtype)
    for given in (photographs, np.moveaxis(photographs, 1, -1), PHOTOS.normalize(photographs)):
        codes.fill(0)
        codec.encode(codec.check(given), codes)
        assert np.array_equal(codes.view(np.uint8), expected[:, : codec.size])
    one = codec.check(np.moveaxis(photographs[2], 0, -1))
    codec.encode(one, codes)
    assert np.array_equal(codes[:1].view(np.uint8), expected[2:3, : codec.size])
    with pytest.raises(penstock.PenstockError, match=r"photographs are 12 x 3 x 9 x 6"):
        codec.check(photographs[..., :6])
    assert codec.check(codes.view(np.int8).reshape(12, 3, 9, 7)).dtype == np.int8  # codes stay so


def test_kept_by_save_and_load(
    net: penstock.Network, photographs: np.ndarray, tmp_path: Path
) -> None:
    net.save(tmp_path / "net")
    again = penstock.load(tmp_path / "net")
    assert again.pixels == PHOTOS and again.class_names == NAMES
    assert np.array_equal(again(photographs), net(photographs))
    renewed = penstock.compile(tmp_path / "net" / MODEL_FILE, target="tiny")
    assert renewed.pixels == PHOTOS and renewed.class_names == NAMES


def test_refusals(net: penstock.Network, photographs: np.ndarray) -> None:
    with pytest.raises(penstock.PenstockError, match="photographs are 12 x 3 x 9 x 6, the network"):
        net(photographs[..., :6])
    unknown = penstock.compile(module(), calibration=PHOTOS.normalize(photographs), target="tiny")
    assert unknown.pixels is None and unknown.class_names == ()
    with pytest.raises(penstock.PenstockError, match="images are uint8, expected float32"):
        unknown(photographs)
    for given, words in (
        ({"class_names": ["a"]}, "1 class names, the network 5 classes"),
        ({"pixels": penstock.Pixels(name="", full_scale=1, mean=(0,), std=(1,))}, "1 means for 3"),
    ):
        with pytest.raises(penstock.PenstockError, match=words) as caught:
            penstock.compile(
                module(), calibration=PHOTOS.normalize(photographs), target="tiny", **given
            )
        assert "\n" not in str(caught.value)


def test_training_records_it_and_simulate_uses_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from penstock.cli.main import main
    from penstock.model.data.load import load_dataset

    config = TrainConfig(
        widths=(4, 6, 8), epochs=1, qat_epochs=1, out=tmp_path / "n.pt", quiet=True
    )
    train_network(config)
    export_checkpoint(tmp_path / "n.pt", tmp_path / "n.onnx")
    net = penstock.compile(tmp_path / "n.onnx", target="tiny")
    data = load_dataset("digits", None)
    assert net.pixels is not None and net.pixels.name == "digits"
    raw, real = data.test_images.numpy()[:40], data.normalize(data.test_images[:40]).numpy()
    assert np.array_equal(net(raw), net(real))
    net.save(tmp_path / "net")
    labels = data.test_labels.numpy()[:40]
    np.save(tmp_path / "y.npy", labels)
    found = []
    for name, images in (("raw", raw[:, 0]), ("real", real)):
        np.save(tmp_path / f"{name}.npy", images)
        arguments = ["simulate", tmp_path / "net", "--images", tmp_path / f"{name}.npy", "--json"]
        arguments += ["-", "--labels", tmp_path / "y.npy", "--engine", "golden,graph"]
        assert main([str(argument) for argument in arguments]) == 0
        report = json.loads(capfd.readouterr().out)
        found.append(report["engines"]["golden"]["accuracy"])
    assert found[0] == found[1] == float((net(real).argmax(axis=1) == labels).mean())

"""Several images a run on the command line: compile, listing, engines, estimate, vectors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.compiler.compiled import load
from penstock.host.vectors import Vectors

IMAGES = 4  # two runs of three, the second not full


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.onnx, a small VGG down to 2 x 2 maps, and images.npy."""
    import onnx
    import torch

    from penstock.model import build_onnx, random_images, random_network
    from penstock.model.networks.vgg import VggConfig

    folder = tmp_path_factory.mktemp("several")
    stages = ((6, 1), (8, 1), (40, 2))
    config = VggConfig(stages=stages, in_channels=2, input_size=(8, 8), classes=5)
    onnx.save(build_onnx(random_network(config, seed=1)), folder / "net.onnx")
    images = random_images(config, IMAGES, torch.Generator().manual_seed(5)).numpy()
    np.save(folder / "images.npy", images.astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def folders(static: Path) -> dict[int, Path]:
    """Compiled for one image a run, and for three."""
    from penstock.cli.main import main

    found = {}
    for images in (1, 3):
        found[images] = static / f"net{images}"
        arguments = ["compile", static / "net.onnx", "-o", found[images], "--images", images]
        assert main([str(argument) for argument in arguments]) == 0
    return found


def test_every_image_has_its_result(
    penstock: Any, static: Path, folders: dict[int, Path], tmp_path: Path
) -> None:
    logits = []
    for images, folder in folders.items():
        saved = tmp_path / f"{images}.npz"
        result = penstock(
            *("simulate", folder, "--engine", "golden,graph,csim"),
            *("--images", static / "images.npy", "--save", saved, "--json", "-"),
        )
        assert result.code == 0, result.err
        figures = json.loads(result.out)
        assert (figures["images"], figures["images_a_run"]) == (IMAGES, images)
        assert all(engine["mismatches"] == 0 for engine in figures["engines"].values())
        counted = figures["engines"]["golden"]
        runs = counted["per_image" if images == 1 else "per_run"]["weight_bytes"]
        assert len(runs) == -(-IMAGES // images)
        assert counted["counters"]["weight_bytes"] == runs[0] / images
        assert figures["predicted"]["weight_bytes"] == runs[0] / images
        logits.append(np.load(saved)["logits"])
        assert logits[-1].shape == (IMAGES, 5)
    np.testing.assert_array_equal(*logits)


def test_listing_and_report(penstock: Any, folders: dict[int, Path]) -> None:
    listing = penstock("disasm", folders[3]).out
    assert "; 3 images a run\n" in listing
    assert "images a run" not in penstock("disasm", folders[1]).out
    assert listing.count("LOAD  ") == 3 + 1  # and the classifier's weights, once (GLOAD)
    assert json.loads((folders[3] / "report.json").read_text())["images"] == 3


def test_estimate_is_an_image(penstock: Any, static: Path, folders: dict[int, Path]) -> None:
    def figures(*arguments: object) -> dict[str, Any]:
        result = penstock("estimate", *arguments, "--json", "-")
        assert result.code == 0, result.err
        return json.loads(result.out)

    one, three = (figures(folders[images]) for images in (1, 3))
    assert figures(static / "net.onnx", "--images", 3) == three
    assert three["cycles"] < one["cycles"]
    assert three["macs"] == one["macs"]
    error = penstock("estimate", folders[3], "--images", 1).error
    assert "was compiled for 3 images a run; give the ONNX file" in error


def test_deployed_vectors(penstock: Any, static: Path, folders: dict[int, Path]) -> None:
    output = static / "deploy"
    given = ("--images", static / "images.npy", "-o", output)
    assert penstock("deploy", folders[3], "--board", "pynq-z2", *given).code == 0
    vectors = Vectors.load(output / "vectors.npz")
    assert (len(vectors), len(vectors.labels), len(vectors.results)) == (IMAGES, IMAGES, 2)


def test_a_gated_network_is_refused(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    result = penstock("compile", workspace.onnx, "--images", 2, "-o", tmp_path / "net")
    assert "a gate decides for one image" in result.error
    assert not (tmp_path / "net").exists()


def test_the_driver_may_take_the_static_network(folders: dict[int, Path]) -> None:
    """`static()` of a network without gates is itself, for as many images a run."""
    net = load(folders[3])
    assert net.static().package.descriptors == net.package.descriptors

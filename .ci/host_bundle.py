"""Makes build/host: what `make test-host` puts on the simulated board.

build/host/net.onnx     a gated network trained on the digits, the demo's if there is one
build/host/deploy/      the folder `penstock deploy` writes for it
build/host/z7020x2/     the same network for the board's largest core
build/host/families/    a random network of every family of gates, with early exits, in stages, a
                        DenseNet, and what each must compute
build/host/several/     a network without gates for one image a run and for three
build/host/libcsim.so   the C++ of the HLS core, compiled
build/host/lib/         the simulator under the name it is installed as
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from penstock.cli.main import main as penstock
from penstock.model import DenseNetConfig, ResNetConfig, build_onnx, random_images, random_network
from penstock.model.networks.registry import AnyConfig
from penstock.model.networks.vgg import VggConfig
from penstock.model.plans.network import GATES
from penstock.model.plans.split import plain_split
from penstock.model.quantize.twin import QuantNetwork
from penstock.program.core.config import get_config
from penstock.sim.csim.build import build_csim

ROOT = Path(__file__).resolve().parent.parent
HOST, DEMO = ROOT / "build" / "host", ROOT / "build" / "demo"
#: What each network has that others have not, by its name.
FAMILIES: dict[str, dict[str, Any]] = {
    **{gates: {"gates": gates} for gates in GATES if gates not in ("l", "c", "none", "acsdg-se")},
    "exits": {"gates": "none", "exits": (0, 1)},
    "stages": {"gates": "none", "widths": (8, 16, 24), "split": plain_split(3)},
    "acsdg-se": {"gates": "acsdg-se"},  # behind the others, which keep shapes and seeds
    "dense": {"gates": "acs", "layers": (2, 1), "growth": 12},
    "wide": {"gates": "none", "exits": (0, 1)},
}
#: Logits of 16 bits, of exits too.
WIDE = {"wide": ("--logits", "16")}
RESNET = {"depth": 14, "widths": (6, 10, 12)}
DENSENET = {"stem_kernel": 3, "stem_stride": 1}
IMAGES = 10
FILES = ("net.onnx", "images.npy", "labels.npy")


def run(*arguments: object) -> None:
    """One `penstock` command; ends the script if it fails."""
    code = penstock([str(argument) for argument in arguments])
    if code:
        sys.exit(code)


def library(link: Path) -> None:
    """The C simulation of the HLS core, built here: the board side has no compiler's modules."""
    built = build_csim(get_config("z7020"))
    link.unlink(missing_ok=True)
    os.symlink(built, link)


@torch.no_grad()
def exit_halves(network: QuantNetwork, images: torch.Tensor) -> dict[str, str]:
    """Metadata with thresholds at which half of the images leave; empty without exits."""
    network(images)
    halves = [float(logits.softmax(dim=1).amax(dim=1).median()) for logits in network.early]
    return {"thresholds": ",".join(f"{half:.6f}" for half in halves)} if halves else {}


def shaped(number: int, form: dict[str, Any]) -> AnyConfig:
    """A network of that form, for images of another shape than its neighbours'."""
    size, channels = (8 + number % 3, 6 + number % 4), 1 + number % 3
    images = {"in_channels": channels, "input_size": size}
    if "growth" in form:
        return DenseNetConfig(**(DENSENET | images | form))
    return ResNetConfig(**(RESNET | images | form))


def families(folder: Path) -> None:
    """NAME.pspkg and NAME.npz: small networks of different shapes, all for one configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, (name, form) in enumerate(FAMILIES.items()):
        config = shaped(number, form)
        network = random_network(config, keep_blocks=0.6, seed=number)
        images = random_images(config, IMAGES, torch.Generator().manual_seed(number))
        onnx.save(build_onnx(network, exit_halves(network, images)), folder / f"{name}.onnx")
        np.save(folder / "images.npy", images.numpy())
        target = ("--config", "z7020", *WIDE.get(name, ()), "-o", folder / "net")
        run("compile", folder / f"{name}.onnx", *target)
        given = ("--board", "pynq-z2", "--images", folder / "images.npy")
        run("deploy", folder / "net", *given, "-o", folder / "deploy")
        for source, suffix in (("net.pspkg", ".pspkg"), ("vectors.npz", ".npz")):
            shutil.copyfile(folder / "deploy" / source, folder / f"{name}{suffix}")


def several(folder: Path) -> None:
    """1.pspkg, 3.pspkg and their .npz: one network, whose layers on 2 x 2 maps gain by three."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    stages = ((6, 1), (8, 1), (40, 2))
    config = VggConfig(stages=stages, in_channels=2, input_size=(8, 8), classes=5)
    onnx.save(build_onnx(random_network(config, seed=1)), folder / "net.onnx")
    images = random_images(config, IMAGES, torch.Generator().manual_seed(1))
    np.save(folder / "images.npy", images.numpy())
    for count in (1, 3):
        target = ("--config", "z7020", "--images", count, "-o", folder / "net")
        run("compile", folder / "net.onnx", *target)
        given = ("--board", "pynq-z2", "--images", folder / "images.npy")
        run("deploy", folder / "net", *given, "-o", folder / "deploy")
        for source, suffix in (("net.pspkg", ".pspkg"), ("vectors.npz", ".npz")):
            shutil.copyfile(folder / "deploy" / source, folder / f"{count}{suffix}")


def main() -> None:
    """Train if need be, compile, deploy."""
    HOST.mkdir(parents=True, exist_ok=True)
    if not all((HOST / name).is_file() for name in FILES):
        if not all((DEMO / name).is_file() for name in FILES):
            run("demo", "-o", DEMO)
        for name in FILES:
            shutil.copyfile(DEMO / name, HOST / name)
    run("compile", HOST / "net.onnx", "--config", "z7020", "-o", HOST / "net")
    run("deploy", HOST / "net", "--board", "pynq-z2", "-o", HOST / "deploy")
    run("compile", HOST / "net.onnx", "--config", "z7020x2", "-o", HOST / "net-z7020x2")
    run("deploy", HOST / "net-z7020x2", "--board", "pynq-z2", "-o", HOST / "z7020x2")
    families(HOST / "families")
    several(HOST / "several")
    library(HOST / "libcsim.so")
    link = HOST / "lib" / "penstock" / "sim"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(ROOT / "sim", target_is_directory=True)


if __name__ == "__main__":
    main()

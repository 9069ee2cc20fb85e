"""What several commands need of a compiled network."""

from pathlib import Path
from typing import Any

import numpy.typing as npt
import rich_click as click

from penstock.cli.errors import load
from penstock.images import as_images, read_array

#: Seeds that NumPy, torch and the simulated core all take.
SEED = click.IntRange(0, 2**63 - 1)

#: Images that a run of the core takes, for a command that compiles.
images_option = click.option(
    "--images",
    type=click.IntRange(min=1),
    metavar="N",
    help="Images a run: layers with small maps are done for N images together, which then share "
    "lanes and weights (networks without gates and exits; default: 1).",
)

#: Images that quantise a network in floating point, for a command that compiles.
calibration_option = click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="X.NPY",
    help="Images (float32, N x C x H x W) with which to quantise a network in floating point.",
)


def read_calibration(path: Path | None) -> npt.NDArray[Any] | None:
    """The images of `calibration_option`, if given."""
    return None if path is None else as_images(read_array(path), str(path), codes=True)


#: Of commands that read a checkpoint.
network_option = click.option(
    "--network",
    metavar="PKG.MODULE:NAME",
    help="Of a network of your own: its factory, whose code then runs.",
)


def load_network(path: Path) -> Any:
    """The `penstock.Network` of a folder or a .pspkg file; a PenstockError if it cannot be used."""
    return load("penstock.building").load(path)


def read_images(
    network: Any, path: Path, limit: int | None = None
) -> tuple[npt.NDArray[Any], list[str]]:
    """The first images of a .npy file for a `penstock.Network`, and what is odd about them."""
    found: tuple[npt.NDArray[Any], list[str]] = network.checked_images(
        read_array(path), str(path), limit
    )
    return found

"""What several commands need of a compiled network."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.cli.errors import InputError, load
from penstock.cli.files import check_images, read_array
from penstock.program.config import CONFIGS, HwConfig

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
    return None if path is None else check_images(read_array(path), None, str(path))


def hardware(name: str) -> HwConfig:
    """The named configuration; InputError with the known names otherwise."""
    if name not in CONFIGS:
        raise InputError(
            f"unknown hardware configuration '{name}'", hint=f"one of {', '.join(CONFIGS)}"
        )
    return CONFIGS[name]


def load_compiled(path: Path) -> Any:
    """The CompiledNetwork of a folder or a .pspkg file; a PenstockError if it cannot be used."""
    if not path.exists():
        raise InputError(f"cannot read {path}: no such file or folder", hint="penstock compile")
    return load("penstock.compiler.api").load(path)


#: Share of the image values beyond the input quantiser's range that goes without a warning.  A
#: trained scale leaves out the outliers of a data set, a few in ten thousand.
MOST_SATURATED = 0.02
#: Codes of the brightest image value, of 127 or 255, below which images are as good as black.
LEAST_CODE = 8


def read_images(
    compiled: Any, path: Path, limit: int | None = None
) -> tuple[npt.NDArray[Any], list[str]]:
    """The first images of a .npy file for a compiled network, and what is odd about them.

    float32 are real values; codes (int8 or uint8) are taken where the network's file takes them.
    """
    array = read_array(path)
    images = check_images(array, compiled.input_shape, str(path), limit, compiled.codes)
    return images, image_warnings(images, compiled.package.meta["input"])


def image_warnings(images: npt.NDArray[Any], image: dict[str, Any]) -> list[str]:
    """Warnings about images that the input quantiser (metadata `image`) makes little of."""
    if images.dtype != np.float32:
        return []
    steps = images / np.float32(image["scale"])
    low, high = (-128, 127) if image["signed"] else (0, 255)
    lost = float(((steps < low - 1) | (steps > high + 1)).mean())
    least, greatest = float(images.min()), float(images.max())
    spans = f"they span {least:.4g} to {greatest:.4g}, the input quantiser's range is "
    spans += f"{low * image['scale']:.4g} to {high * image['scale']:.4g}"
    if lost > MOST_SATURATED:
        return [f"{lost:.1%} of the image values saturate: {spans}; normalise as for training"]
    if 0 < np.abs(steps).max() < LEAST_CODE:
        return [f"the images use less than {LEAST_CODE} codes: {spans}; normalise as for training"]
    return []

"""The standing check on the command line: its options, images, figures and their wording."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.cli.errors import InputError
from penstock.images import check_images, read_array
from penstock.standing import CHECKED_IMAGES

F = TypeVar("F", bound=Callable[..., Any])


def check_options(command: F) -> F:
    """`--check/--no-check` and `--check-images`."""
    images = click.option(
        "--check-images",
        type=click.Path(path_type=Path),
        metavar="X.NPY",
        help="Images (float32, N x C x H x W) with which to check the program "
        f"(default: the first {CHECKED_IMAGES} of --calibration).",
    )
    switch = click.option(
        "--check/--no-check",
        "check",
        default=None,
        help="Run the quantised file in onnxruntime and compare layer by layer; refuse the "
        "network if one differs by more than rounding (default: where there are images).",
    )
    return switch(images(command))


def images_to_check(
    check: bool | None, path: Path | None, calibration: npt.NDArray[Any] | None
) -> bool | npt.NDArray[Any] | None:
    """The options as `penstock.compile` takes them.  InputError if there are no images."""
    if check and path is None and calibration is None:
        raise InputError("--check needs images", hint="--check-images x.npy")
    if check is False or path is None:
        return check
    array = read_array(path)
    codes = array.dtype if array.dtype in (np.int8, np.uint8) else None
    return check_images(array, None, str(path), codes=codes)


def onnx_figures(checked: Any) -> dict[str, Any]:
    """The onnx engine in the figures of `simulate`: a mismatch is more than rounding."""
    wrong = sum(layer.beyond + bool(layer.shapes) for layer in checked.layers)
    return {"images": checked.images, "mismatches": wrong, "check": checked.figures()}


def check_rows(checked: Any) -> list[tuple[str, str]]:
    """What a check found, for a table."""
    largest = max((layer.maximum for layer in checked.layers), default=0)
    decisions = sum(gate.decisions for gate in checked.gates)
    rows = [
        ("layers compared", f"{len(checked.layers)}"),
        ("a layer alone, steps at most", f"{largest}"),
        ("all layers, steps of the logits at most", f"{checked.logits.maximum}"),
        ("images of another class", f"{checked.logits.disagreements} of {checked.images}"),
    ]
    if decisions:
        rows.append(("gates' decisions that differ", f"{checked.flips:,} of {decisions:,}"))
    if checked.original is not None:
        rows.append(("quantising, of the largest logit", f"{checked.original.maximum:.1%}"))
    if checked.first_wrong is not None:
        rows.append(("first layer that is wrong", checked.first_wrong.layer))
    return rows

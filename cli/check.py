"""The standing check on the command line: its options, images, figures and their wording."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.cli.errors import InputError, load
from penstock.cli.files import check_images, read_array
from penstock.cli.output import note, step
from penstock.program.errors import PenstockError

F = TypeVar("F", bound=Callable[..., Any])

#: Calibration images that are checked; all of --check-images are.
CHECKED_IMAGES = 8


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
    check: bool | None, path: Path | None, calibration: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32] | None:
    """What to check with, None if nothing is to be checked."""
    if check is False:
        return None
    if path is not None:
        array = read_array(path)
        codes = array.dtype if array.dtype in (np.int8, np.uint8) else None
        return check_images(array, None, str(path), codes=codes)
    if check and calibration is None:
        raise InputError("--check needs images", hint="--check-images x.npy")
    return None if calibration is None else calibration[:CHECKED_IMAGES]


def check_compiled(
    compiled: Any, images: npt.NDArray[np.float32], original: Path | None, asked: bool
) -> Any:
    """The compiled network with the figures of its check.

    Raises:
        PenstockError: a layer is wrong; or, if the check was asked for, it cannot be made.
    """
    wrong = load("penstock.compiler.check").CheckError
    try:
        with step(f"check against onnxruntime, {len(images)} images"):
            compiled = compiled.check(images, original)
    except PenstockError as error:
        if asked or isinstance(error, wrong):
            raise
        note(f"not checked: {error}")
        return compiled
    compiled.checked.require()
    warnings = (*compiled.warnings, *compiled.checked.warnings())
    return dataclasses.replace(compiled, warnings=warnings)


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

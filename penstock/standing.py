"""The standing check of what was compiled: the quantised file in onnxruntime, layer by layer."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.engines import Images, Step, silently
from penstock.errors import InputError
from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import require

if TYPE_CHECKING:
    from penstock.compiler.compiled import CompiledNetwork

#: Calibration images that are checked; all are that are given for it.
CHECKED_IMAGES = 8


def images_to_check(check: bool | Images | None, calibration: Images | None) -> Images | None:
    """What to check with, None if nothing is to be checked.

    `check`: images; False: no check; True: a check, with the first calibration images; None: the
    same where there are some.  InputError if True finds none.
    """
    if check is False:
        return None
    if check is not None and check is not True:
        return check
    if check and calibration is None:
        raise InputError("a check needs images", hint="check=images, or calibration=images")
    return None if calibration is None else calibration[:CHECKED_IMAGES]


def check_compiled(
    compiled: CompiledNetwork,
    images: Images,
    original: Path | None,
    asked: bool,
    step: Step = silently,
) -> tuple[CompiledNetwork, str]:
    """The compiled network with the figures of its check; and why there is none, or "".

    Raises:
        PenstockError: a layer is wrong; or, if the check was asked for, it cannot be made.
    """
    wrong = require("penstock.compiler.check").CheckError
    try:
        with step(f"check against onnxruntime, {len(images)} images"):
            compiled = compiled.check(images, original)
    except PenstockError as error:
        if asked or isinstance(error, wrong):
            raise
        return compiled, str(error)
    checked = compiled.checked
    assert checked is not None
    checked.require()
    warnings = (*compiled.warnings, *checked.warnings())
    return dataclasses.replace(compiled, warnings=warnings), ""

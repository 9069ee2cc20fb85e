"""`penstock.compile` and `penstock.load`: the ways to a Network."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from penstock.engines import Step, silently
from penstock.errors import InputError, PenstockWarning
from penstock.images import as_images
from penstock.network import Network
from penstock.program.base.optional import require
from penstock.program.core.config import HwConfig
from penstock.program.network.pixels import Pixels
from penstock.sources import Model, opened, original_of
from penstock.standing import check_compiled, images_to_check
from penstock.target import resolve_target


def compile(
    model: Model,
    example: Any = None,
    *,
    calibration: Any = None,
    target: str | Path | HwConfig = "pynq-z2",
    schedule: str | None = None,
    thresholds: Sequence[float] | None = None,
    images: int = 1,
    reshape: bool = True,
    check: Any = None,
    pixels: Pixels | None = None,
    class_names: Sequence[str] = (),
    logits: Literal[8, 16] | None = None,
) -> Network:
    """Compile a network for a board or a hardware configuration.

    A network in floating point is quantised with `calibration`; one that is quantised already -
    an ONNX file with QuantizeLinear nodes, or what `penstock.prepare_qat` made - keeps its scales.
    What compiles and is of little use - a gate that never closes, too few calibration images - is
    warned of (`PenstockWarning`) and stands in `Network.warnings`.

    Args:
        model: a torch.nn.Module of one image tensor that returns logits, or a tuple of them: early
            exits first; an onnx.ModelProto; or the path of an ONNX file.
        example: one batch of a module's input, float32 [N, C, H, W]; None: of `calibration`.
        calibration: images, float32 [N, C, H, W] as the network takes them, of NumPy or PyTorch; a
            hundred typical ones do.
        target: a board (docs/boards.md), for which its first configuration is taken; or the name
            of a configuration, or the YAML file of your own (docs/program.md).
        schedule: "sequential" or "parallel"; None: what the file says, else sequential.
        thresholds: of early exits, in order; None: what the file says.
        images: of a run of the core; several share lanes and weights where maps are small.
        reshape: let the array reshape for partial groups; the results are the same.
        check: images with which to compare the program with its ONNX file in onnxruntime, layer by
            layer; True: with the first of `calibration`; None: where there are some; False: not.
        pixels: how uint8 photographs become the network's input, `penstock.Pixels(name="photos",
            full_scale=255, mean=(...), std=(...))`; it goes into the program, so that the network,
            `penstock simulate` and the driver take photographs, and `calibration`, `example` and
            `check` may be such.  None: what the file says.
        class_names: of the logits, in order; empty: what the file says.
        logits: their bits, 8 or 16; None: 16 where the network does not quantise them itself; 16:
            also where it does, without its last quantiser then (docs/numerics.md).

    Raises:
        PenstockError: what the core cannot do, with the node or the module and its line, the
            reason and a hint; images or a target that cannot be used.
    """
    network = build(
        model,
        example,
        calibration=calibration,
        target=target,
        schedule=schedule,
        thresholds=thresholds,
        images=images,
        reshape=reshape,
        check=check,
        pixels=pixels,
        class_names=class_names,
        logits=logits,
    )
    for text in network.warnings:
        warnings.warn(text, PenstockWarning, stacklevel=2)
    if network.unchecked:
        warnings.warn(f"not checked: {network.unchecked}", PenstockWarning, stacklevel=2)
    return network


def build(
    model: Model,
    example: Any = None,
    *,
    calibration: Any = None,
    target: str | Path | HwConfig = "pynq-z2",
    schedule: str | None = None,
    thresholds: Sequence[float] | None = None,
    images: int = 1,
    reshape: bool = True,
    check: Any = None,
    pixels: Pixels | None = None,
    class_names: Sequence[str] = (),
    logits: Literal[8, 16] | None = None,
    step: Step = silently,
) -> Network:
    """`compile` without a warning said; `step` is told what takes time."""
    config, board = resolve_target(target)
    metadata = {} if pixels is None else {"dataset": pixels.name, **pixels.properties()}
    if logits is not None:
        metadata["logits"] = str(logits)
    if class_names:
        metadata["class_names"] = json.dumps(list(class_names))
    samples = (
        None
        if calibration is None
        else as_images(calibration, "calibration", codes=True, pixels=pixels)
    )
    shown = None if example is None else as_images(example, "example", pixels=pixels)
    if not isinstance(check, bool) and check is not None:
        check = as_images(check, "check", codes=True, pixels=pixels)
    asked = check is not None and check is not False
    seen = images_to_check(check, samples)
    api = require("penstock.compiler.api")
    with opened(model, shown, samples) as source:
        with step(f"compile {source.title} for {config.name}"):
            compiled = api.compile_onnx(
                source.path,
                config,
                schedule,
                calibration=None if source.quantized else samples,
                reshape=reshape,
                thresholds=thresholds,
                images=images,
                metadata=metadata,
            )
        unchecked, original = "", source.original
        in_float = samples is not None and not source.quantized
        if seen is not None:
            of = source.path if in_float else None
            compiled, unchecked = check_compiled(compiled, seen, of, asked, step)
        if in_float and original is None:
            original = original_of(source.path, thresholds)
    return Network(compiled, board=board, original=original, unchecked=unchecked)


def load(path: str | os.PathLike[str]) -> Network:
    """The network that `Network.save` or `penstock compile` wrote: a folder, or its .pspkg file.

    Raises:
        PenstockError: missing, truncated or corrupted, or built by another release.
    """
    if not Path(path).exists():
        raise InputError(f"cannot read {path}: no such file or folder", hint="penstock compile")
    return Network(require("penstock.compiler.compiled").load(Path(path)))

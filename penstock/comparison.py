"""What differs between engines, and between the integers and the network they stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from penstock.engines import (
    ENGINES,
    Images,
    Memory,
    Run,
    build_engines,
    first_mismatch,
    mismatches,
    run_engine,
)
from penstock.errors import InputError
from penstock.sources import Model, Original, opened, original_of
from penstock.tables import Table

if TYPE_CHECKING:
    from penstock.compiler.check import CheckResult
    from penstock.network import Network


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OriginalFigures:
    """The logits of the integers against the original's.

    Attributes:
        name: what the original is.
        maximum: largest difference of a logit, over the original's largest logit.
        rms: root of the mean square of the differences, over that of the original's logits.
        disagreements: images of another class.
    """

    name: str
    maximum: float
    rms: float
    disagreements: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """What `Network.compare` found; prints as a table.

    Attributes:
        network, images: what was compared, on how many images.
        runs: each engine's results.
        differ: engine -> bytes of its results that differ from the first engine's.
        first: engine -> where they differ first, in words; "" where they do not.
        original: the integers against what they stand for, where that is known.
        check: the integer graph against the quantised file in onnxruntime, layer by layer, if it
            was asked for.
    """

    network: str
    images: int
    runs: Mapping[str, Run]
    differ: Mapping[str, int]
    first: Mapping[str, str]
    original: OriginalFigures | None
    check: CheckResult | None

    @property
    def equal(self) -> bool:
        """Whether all engines agree to the bit, and no layer differs by more than rounding."""
        rounding = self.check is None or self.check.first_wrong is None
        return rounding and not any(self.differ.values())

    def tables(self) -> list[Table]:
        """Engines; the original; the layers."""
        reference = next(iter(self.runs))
        rows = [
            (name, "reference" if name == reference else str(count), self.first[name])
            for name, count in self.differ.items()
        ]
        title = f"{self.network}, {self.images} images"
        found = [Table(title=title, columns=("engine", "bytes that differ", ""), rows=rows)]
        if self.original is not None:
            found.append(_original_table(self.original, self.images))
        if self.check is not None:
            found.append(_layer_table(self.check))
        return found

    def __str__(self) -> str:
        return "\n".join(table.text() for table in self.tables())

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self.tables())


def _original_table(original: OriginalFigures, images: int) -> Table:
    rows = [
        ("images of another class", f"{original.disagreements} of {images}"),
        ("logits, largest difference of the largest one", f"{original.maximum:.1%}"),
        ("logits, RMS", f"{original.rms:.1%}"),
    ]
    return Table(title=f"against {original.name}", columns=("", ""), rows=rows)


def _layer_table(check: CheckResult) -> Table:
    rows = [
        (layer.layer, str(layer.maximum), f"{layer.share:.2%}", "wrong" if layer.wrong else "")
        for layer in check.layers
    ]
    columns = ("layer", "steps at most", "values that differ", "")
    return Table(title="layer by layer, against onnxruntime", columns=columns, rows=rows)


def compare_network(
    network: Network,
    images: Images,
    engines: Sequence[str],
    *,
    layers: bool,
    original: Model | None,
    memory: Memory,
) -> Comparison:
    """`Network.compare` on checked images."""
    engines = (engines,) if isinstance(engines, str) else tuple(engines)
    for name in engines:
        if name not in ENGINES:
            raise InputError(f"unknown engine '{name}'", hint=f"one of {', '.join(ENGINES)}")
    exact = [name for name in engines if name != "onnx"] or ["graph"]
    build_engines(exact, network.compiled, memory)
    runs = {name: run_engine(name, network.compiled, images, memory) for name in exact}
    reference = runs[exact[0]]
    found = network.original if original is None else _opened(original, images, network)
    check = None
    if layers or "onnx" in engines:
        check = network.compiled.check(images).checked
    return Comparison(
        network=network.name,
        images=len(images),
        runs=runs,
        differ={name: mismatches(reference, run) for name, run in runs.items()},
        first={name: first_mismatch(reference, run) for name, run in runs.items()},
        original=None if found is None else _against(found, images, reference, network),
        check=check,
    )


def _opened(model: Model, images: Images, network: Network) -> Original:
    """What `penstock.compile` would take, as something to compare with."""
    thresholds = [leave["threshold"] for leave in network.compiled.package.meta["exits"]]
    with opened(model, images[:1], images[:1]) as source:
        return source.original or original_of(source.path, thresholds or None)


def _against(
    original: Original, images: Images, run: Run, network: Network
) -> OriginalFigures | None:
    """Of the images that ran to the end; None if there are none, or of codes."""
    kept = run.exits == len(network.compiled.package.meta["exits"])
    if images.dtype != np.float32 or not kept.any():
        return None
    exact: npt.NDArray[Any] = original.logits(images[kept]).astype(np.float64)
    logits = run.outputs[kept].reshape(exact.shape)
    off = np.abs(exact - logits)
    energy = float(np.square(exact).mean())
    return OriginalFigures(
        name=original.name,
        maximum=float(off.max()) / (float(np.abs(exact).max()) or 1.0),
        rms=float(np.square(off).mean() / (energy or 1.0)) ** 0.5,
        disagreements=int((exact.argmax(axis=1) != logits.argmax(axis=1)).sum()),
    )

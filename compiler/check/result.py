"""What the standing check found: plain figures, JSON-ready, and the verdict."""

import dataclasses
from typing import Any

from penstock.compiler.errors import CompileError

#: Steps by which a layer on onnxruntime's own integers may differ (docs/numerics.md).
TOLERANCE = 1
#: Share of the largest logit from which on a calibrated network is worth a warning.
ORIGINAL_SHARE = 0.12


class CheckError(CompileError):
    """A compiled network that does not compute what its ONNX file says."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LayerDifference:
    """One layer of the integer graph on onnxruntime's integers, over all images.

    Attributes:
        layer: its name; `op` is its kind in the graph, `tensor` what it is compared with.
        maximum: largest difference in steps of the tensor.
        rms: root of the mean square of the differences over that of the tensor (0 if it is zero).
        share: of the values that differ, 0 .. 1.
        beyond: values that differ by more than rounding explains (`tolerance.allowed_steps`).
        shapes: (the file's, the graph's) without the batch, where they do not fit; else empty.
    """

    layer: str
    op: str
    tensor: str
    maximum: int
    rms: float
    share: float
    beyond: int
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether this is no rounding."""
        return bool(self.beyond or self.shapes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateFlips:
    """Decisions of a gate (a score of 0 skips) that differ, the whole network on each side."""

    gate: str
    flips: int
    decisions: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogitDifference:
    """The logits of the whole network: in steps, relative RMS, images of another class.

    Of the last output; early exits' are layers.  Differences of single steps add up layer by
    layer, and a gate that flips at a tie changes what follows: figures, no verdict.
    """

    maximum: int
    rms: float
    disagreements: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OriginalDifference:
    """The float file against the one that calibration made of it, both in onnxruntime.

    `maximum`: largest difference of a logit over the largest logit; `disagreements`: images of
    another class.
    """

    maximum: float
    disagreements: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The figures of `report.json` under "check".

    Attributes:
        layers: in execution order.
        unnamed: values of the graph without a tensor of their name; what follows them tells.
        original: None unless the network was quantised here.
    """

    images: int
    layers: tuple[LayerDifference, ...]
    unnamed: tuple[str, ...]
    gates: tuple[GateFlips, ...]
    logits: LogitDifference
    original: OriginalDifference | None = None

    @property
    def first_wrong(self) -> LayerDifference | None:
        """The first layer that differs by more than rounding."""
        return next((layer for layer in self.layers if layer.wrong), None)

    @property
    def flips(self) -> int:
        """Decisions of all gates that differ."""
        return sum(gate.flips for gate in self.gates)

    def describe_wrong(self) -> str:
        """The first wrong layer in a sentence without a full stop; "" if there is none."""
        layer = self.first_wrong
        if layer is None:
            return ""
        if layer.shapes:
            ours, theirs = (" x ".join(map(str, shape)) for shape in layer.shapes[::-1])
            return f"makes {ours}, '{layer.tensor}' is {theirs} in onnxruntime"
        return (
            f"differs from onnxruntime by {layer.maximum} steps of '{layer.tensor}' "
            f"({layer.share:.1%} of its values; rounding explains {TOLERANCE})"
        )

    def require(self) -> None:
        """CheckError naming the first wrong layer, if there is one."""
        if (layer := self.first_wrong) is not None:
            raise CheckError(
                self.describe_wrong(),
                node=layer.layer,
                op=layer.op,
                hint="the program would compute something else than the file: please report it; "
                "--no-check compiles it all the same",
            )

    def warnings(self) -> list[str]:
        """What is no fault of the compiler, but worth a look: one line each."""
        cost = self.original
        if cost is None or cost.maximum <= ORIGINAL_SHARE:
            return []
        return [
            f"quantising moves the logits by {cost.maximum:.0%} of the largest one, "
            f"{cost.disagreements} of {self.images} images get another class; calibrate with more "
            "and more typical images, or train with quantisation"
        ]

    def figures(self) -> dict[str, Any]:
        """JSON-ready."""
        wrong = self.first_wrong
        figures = dataclasses.asdict(self)
        if self.original is None:
            del figures["original"]
        return figures | {"first_wrong": wrong.layer if wrong else None}

"""Scales from the largest magnitudes of calibration images."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.compiler.calibration.points import Points
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.onnx_file.to_onnx import to_onnx
from penstock.compiler.onnx_session import open_session
from penstock.program.base.optional import MissingPackageError

#: The least scale that is a normal float32.
TINY = float(np.finfo(np.float32).tiny)
#: The scale of an image that is zero everywhere.
BLACK = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What the calibration images make of one tensor."""

    largest: float  # magnitude
    least: float


def measure(net: Net, images: npt.NDArray[np.float32], names: list[str]) -> dict[str, Range]:
    """The range of each tensor over the images.

    Raises:
        CompileError: onnxruntime is missing or cannot run the network, or a tensor overflows.
    """
    computed = [name for name in names if name != net.input]
    session = _session(net, computed)
    ranges = {net.input: _range(images)} if net.input in names else {}
    for index, image in enumerate(images):
        try:
            arrays = session.run(computed, {net.input: image[None]}) if computed else []
        except Exception as error:  # onnxruntime's own errors have no common base
            raise _cannot(error) from None
        tensors = dict(zip(computed, arrays, strict=True))
        bad = {name for name, array in tensors.items() if not np.isfinite(array).all()}
        for node in net.nodes if bad else ():
            if bad.intersection(node.outputs):
                raise node.error(
                    f"makes infinity or NaN of calibration image {index}",
                    "scale the images as in training, or look at the weights before it",
                )
        for name, array in tensors.items():
            found = _range(array)
            before = ranges.get(name, found)
            ranges[name] = Range(
                largest=max(before.largest, found.largest), least=min(before.least, found.least)
            )
    return ranges


def choose_scales(net: Net, points: Points, ranges: dict[str, Range]) -> dict[str, float]:
    """The scale of every point; members of a group share the largest."""
    scales: dict[str, float] = {}
    for name, head in points.group.items():
        levels = 255 if points.unsigned[name] else 127
        scale = max(ranges[name].largest / levels, scales.get(head, 0.0))
        scales[head] = float(np.float32(max(scale, TINY if scale else 0.0)))
    made = {name: node for node in net.nodes for name in node.outputs}
    for node in [None, *net.nodes]:  # in order: what is always zero takes a scale from before it
        for name in (net.input,) if node is None else node.outputs:
            head = points.group.get(name, "")
            if head and not scales[head]:
                scale = _scale_of_zeros(net, name, made, points, scales)
                scales[head] = float(np.float32(max(scale, TINY)))
    return {name: scales[head] for name, head in points.group.items()}


def _scale_of_zeros(
    net: Net, name: str, made: dict[str, OpNode], points: Points, scales: dict[str, float]
) -> float:
    """A scale for a tensor that is zero for every calibration image.

    That of the tensor it is made of, times the largest weight where a layer makes it: other images
    may make something of it, in about those steps.
    """
    factor = 1.0
    while name in made:
        node = made[name]
        if node.op in ("Conv", "Gemm", "MatMul"):
            weight = net.constants.get(node.inputs[1])
            factor *= 1.0 if weight is None else float(np.abs(weight).max(initial=0.0)) or 1.0
        sources = [source for source in node.inputs if source and not net.is_constant(source)]
        if not sources:
            break
        name = sources[0]
        if scale := scales.get(points.group.get(name, ""), 0.0):
            return scale * factor
    return BLACK * factor


def _range(array: Array) -> Range:
    return Range(
        largest=float(np.abs(array.astype(np.float64)).max(initial=0.0)),
        least=float(array.min(initial=np.inf)),
    )


def _session(net: Net, computed: list[str]) -> Any:
    """An onnxruntime session that gives out those tensors too."""
    try:
        return open_session(to_onnx(net.replace(head=None, tails=()), tuple(computed)))
    except MissingPackageError:
        raise
    except Exception as error:
        raise _cannot(error) from None


def _cannot(error: Exception) -> CompileError:
    text = " ".join(str(error).split())[:200]
    return CompileError(
        f"onnxruntime cannot run the network to calibrate it: {text}",
        hint="see that it runs there on its own",
    )

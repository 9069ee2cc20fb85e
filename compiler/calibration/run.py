"""Post-training quantisation: a float network and some images give a QDQ network.

What is quantised follows from what the core stores: the image, everything a convolution, an
average or a dense layer reads, the residual operand of every addition, and the logits.  A sum
and its residual operand share one scale (design section 4), so scales merge along a chain.
Ranges are the largest magnitudes seen; weights are int8 per output channel.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from penstock.compiler import ir
from penstock.compiler.calibration import curves, insert, points, ranges
from penstock.compiler.calibration.warnings import image_warnings, score_tensors, score_warnings
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.ends.parts import host_part
from penstock.compiler.importer.exits import named_outputs
from penstock.compiler.importer.net import Net
from penstock.compiler.importer.onnx_file.load import infer, load_model, to_net
from penstock.compiler.importer.onnx_file.to_onnx import to_onnx
from penstock.compiler.importer.passes.prune import prune
from penstock.compiler.importer.pipeline import import_model, simplify_float

Images = npt.NDArray[Any]

#: Of a batch of maps.
MAP_RANK = 4


def quantize_float(
    path: Path,
    images: Images,
    properties: Mapping[str, str] | None = None,
    warnings: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """A QDQ model of the float network in `path`, calibrated with `images` (N, C, H, W).

    `properties`: metadata beside the file's (as in `set_properties`).  `warnings` gets a line for
    what makes the result of little use, by what it is about: a gate's
    name or "image values".

    Raises:
        CompileError: the network is quantised already or has an unsupported operator; images of
            the wrong shape or with NaN; onnxruntime is missing or fails.
    """
    read = to_net(load_model(path, properties))
    net = simplify_float(read)
    if read.others or len(read.shapes.get(read.output, ())) == MAP_RANK:
        net = net.replace(metadata={**named_outputs(read), **net.metadata})
    for node in net.nodes:
        if node.op in ("QuantizeLinear", "DequantizeLinear"):
            raise node.error("the network is quantised already", "compile without --calibration")
    _check_input(net, path)
    _check_images(net, images)
    samples = _core_images(net, images)
    chosen = points.choose(net, image_unsigned=bool(samples.min() >= 0))
    insert.check_layers(net)
    measured = ranges.measure(net, samples, sorted({*chosen.unsigned, *score_tensors(net)}))
    if warnings is not None:
        warnings |= image_warnings(samples) | score_warnings(net, measured)
    scales = curves.narrow_sources(net, chosen, ranges.choose_scales(net, chosen, measured))
    return to_onnx(prune(insert.insert(net, chosen, scales)))


def _core_images(net: Net, images: Images) -> npt.NDArray[np.float32]:
    """Images as the core's first layer reads them: what the head makes of them."""
    if net.head is None:
        return np.asarray(images, dtype=np.float32)
    kind = net.types[net.head.source]
    made = host_part(net, net.head).run(np.asarray(images, dtype=kind))
    if not np.isfinite(made).all():
        raise CompileError("what the network computes of the calibration images is not finite")
    return np.asarray(made, dtype=np.float32)


def import_float(path: Path, images: Images) -> ir.Graph:
    """The integer graph of a float network, calibrated with `images`."""
    return import_model(infer(quantize_float(path, images)))


def _check_input(net: Net, path: Path) -> None:
    if net.types[net.input] != "float32":
        raise CompileError(
            f"'{path.name}': its input '{net.input}' has type {net.types[net.input]}",
            hint="export the network for float32 images to calibrate it",
        )
    for output in net.results:
        if net.is_constant(output):
            raise CompileError(f"the output '{output}' does not depend on the image")


def _check_images(net: Net, images: Images) -> None:
    source = net.head.source if net.head else net.input
    shape = tuple(net.shapes[source][1:])
    if images.ndim < 2 or images.shape[1:] != shape or not len(images):
        text = " x ".join(map(str, ("N", *shape)))
        raise CompileError(f"calibration images have shape {images.shape}, {text} is expected")
    if images.dtype not in (np.float32, np.float64, net.types[source]):
        raise CompileError(f"calibration images have type {images.dtype}", hint="use float32")
    if not np.isfinite(images).all():
        raise CompileError("calibration images hold NaN or infinity")

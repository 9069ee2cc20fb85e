"""Resize, Upsample and DepthToSpace: pixels of planes in turn, no arithmetic."""

import math
from collections.abc import Callable

import numpy as np

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.values.stored import UNQUANTIZED, is_stored_map, settle
from penstock.compiler.importer.net import Array, Net, OpNode
from penstock.compiler.importer.terms import Stored, Term

HINT = "nearest neighbours, height and width doubled: nn.Upsample(scale_factor=2, mode='nearest')"
HINT_MODE = "use mode 'nearest', or ConvTranspose with stride 2, or PixelShuffle(2)"
HINT_BLOCK = "blocks of 2: PixelShuffle(2), twice for 4"
#: Where place o of the result lies in the source, of a scale s and sides n -> m; ONNX's names.
PLACES: dict[str, Callable[[Array, float, int, int], Array]] = {
    "asymmetric": lambda o, s, n, m: o / s,
    "half_pixel": lambda o, s, n, m: (o + 0.5) / s - 0.5,
    "half_pixel_symmetric": lambda o, s, n, m: n / 2 * (1 - m / (n * s)) + (o + 0.5) / s - 0.5,
    "pytorch_half_pixel": lambda o, s, n, m: (o + 0.5) / s - 0.5 if m > 1 else 0 * o,
    "align_corners": lambda o, s, n, m: o * ((n - 1) / (m - 1)) if m > 1 else 0 * o,
    "tf_half_pixel_for_nn": lambda o, s, n, m: (o + 0.5) / s,
}
ROUNDED: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def lower_resize(builder: Builder, node: OpNode) -> Term:
    """Resize and Upsample of a map that repeat each pixel 2, 4, 8 .. times in each direction."""
    times = _times(builder.net, node)
    term = builder.term(node.inputs[0])
    if not is_stored_map(term, builder):
        raise node.error(f"its input '{node.inputs[0]}' is not a quantised map", UNQUANTIZED)
    value = settle(builder, node, term, node.inputs[0], zero=True).value
    for index in range(times):
        channels, height, width = builder.values[value].shape
        last = index == times - 1
        output = node.output if last else builder.fresh(f"{node.output}.doubled")
        item = ir.Interleave(
            name=node.label,
            input=value,
            output=output,
            channels=channels,
            height=2 * height,
            width=2 * width,
        )
        value = _made(builder, node, item).value
    return Stored(value=value)


def lower_depth_to_space(builder: Builder, node: OpNode) -> Term:
    """DepthToSpace with blocks of 2 x 2 pixels, DCR and CRD."""
    size = int(node.attrs.get("blocksize", 0))
    if size != 2:
        raise node.error(f"has blocks of {size} x {size} pixels", HINT_BLOCK)
    term = builder.term(node.inputs[0])
    if not is_stored_map(term, builder):
        raise node.error(f"its input '{node.inputs[0]}' is not a quantised map", UNQUANTIZED)
    value = settle(builder, node, term, node.inputs[0], zero=True).value
    planes, height, width = builder.values[value].shape
    together = node.attrs.get("mode", "DCR") == "CRD"  # the planes of a channel
    item = ir.Interleave(
        name=node.label,
        input=value,
        output=node.output,
        channels=planes // 4,
        height=2 * height,
        width=2 * width,
        channel=4 if together else 1,
        phase=1 if together else planes // 4,
    )
    return _made(builder, node, item)


def _made(builder: Builder, node: OpNode, item: ir.Interleave) -> Stored:
    """The map of an item; what was made before is given again."""
    sides = (item.channels, item.height, item.width, item.channel, item.phase)
    key = ("interleave", item.input, *sides)
    if key not in builder.made:
        source = builder.values[item.input]
        builder.made[key] = builder.add_node(
            node, item, source.signed, source.scale, source.zero_point
        )
    return Stored(value=builder.made[key].value)


def _times(net: Net, node: OpNode) -> int:
    """How often a Resize doubles a map.

    Raises:
        CompileError: it does something else.
    """
    before, after = net.shapes[node.inputs[0]], net.shapes[node.output]
    mode = node.attrs.get("mode", "nearest")
    if mode != "nearest":
        raise node.error(f"resizes by mode '{mode}'", HINT_MODE)
    if len(before) != 4 or before[:2] != after[:2]:
        raise node.error(f"makes {list(after)} of {list(before)}", HINT)
    scales = _scales(net, node)
    if scales is None:
        scales = [made / side for side, made in zip(before[2:], after[2:], strict=True)]
    times = math.log2(scales[0]) if scales[0] > 0 else -1.0
    if scales[0] != scales[1] or times < 0 or times != int(times):
        text = " and columns by ".join(f"{scale:g}" for scale in scales)
        raise node.error(f"scales rows by {text}", HINT)
    for side, made in zip(before[2:], after[2:], strict=True):
        if not np.array_equal(
            _source(net, node, scales[0], side, made), np.arange(made) >> int(times)
        ):
            raise node.error(
                f"takes other pixels than each {int(scales[0])} times: "
                f"coordinate_transformation_mode {_mode(net, node)}, "
                f"nearest_mode {_rounding(net, node)}",
                "asymmetric with floor, or half_pixel with round_prefer_floor",
            )
    return int(times)


def _scales(net: Net, node: OpNode) -> list[float] | None:
    """The scales of rows and columns, if it has scales: an attribute, or a constant."""
    if "scales" in node.attrs:
        return [float(scale) for scale in node.attrs["scales"]][-2:]
    name = node.optional_input(1 if node.op == "Upsample" or net.opset < 11 else 2)
    array = net.constants.get(name)
    if array is None or not array.size:
        return None
    return [float(scale) for scale in array.reshape(-1)][-2:]


def _mode(net: Net, node: OpNode) -> str:
    old = node.op == "Upsample" or net.opset < 11
    return str(
        node.attrs.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    )


def _rounding(net: Net, node: OpNode) -> str:
    old = node.op == "Upsample" or net.opset < 11
    return str(node.attrs.get("nearest_mode", "floor" if old else "round_prefer_floor"))


def _source(net: Net, node: OpNode, scale: float, side: int, made: int) -> Array:
    """The place of the source that each place of the result is."""
    mode, rounding = _mode(net, node), _rounding(net, node)
    if mode not in PLACES or rounding not in ROUNDED:
        raise node.error(f"has coordinate_transformation_mode {mode}", HINT)
    places = PLACES[mode](np.arange(made, dtype=np.float64), scale, side, made)
    return np.clip(ROUNDED[rounding](places), 0, side - 1).astype(np.int64)

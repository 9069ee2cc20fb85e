"""Exact integer interpreter of the graph: every channel computed and multiplied by its score.

It knows nothing of Programs, layouts or skipping; `golden` must agree with it on every byte.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from penstock.compiler import ir, numerics
from penstock.compiler.ir import IntArray
from penstock.program.core.descriptor import GateKind
from penstock.program.network.exits import exit_bound

#: Below these bounds every partial sum of a floating-point matrix product is an exact integer.
FLOAT32_EXACT = 1 << 24
#: Patches gathered at once (elements); bounds the memory, not the number of images.
PATCH_ELEMENTS = 1 << 23


def run_graph(graph: ir.Graph, images_q: IntArray) -> dict[str, IntArray]:
    """Every value of the graph for a batch of images.

    Args:
        graph: the integer graph.
        images_q: (N, C, H, W) integers in the range of the graph's input type.

    Returns:
        Value name -> int8 or uint8 array, (N, C, H, W) for maps, (N, n) for vectors.

    Raises:
        ValueError: images of another shape, or outside the input's range.
    """
    values = {graph.input: _input(graph, images_q)}
    for node in graph.nodes:
        values[node.output] = run_node(graph, node, values)
    return values


def exits_taken(graph: ir.Graph, values: dict[str, IntArray]) -> IntArray:
    """(N,) the exit each image takes, an index of `graph.exits`; their number: none.

    Args:
        values: what `run_graph` returns.
    """
    taken = np.full(len(values[graph.output]), len(graph.exits))
    for index, leave in reversed(list(enumerate(graph.exits))):
        sums = numerics.confidence_sums(values[leave.logits], graph.values[leave.logits].scale)
        taken[sums <= exit_bound(leave.threshold)] = index
    return taken


def run_node(graph: ir.Graph, node: ir.Node, values: Mapping[str, IntArray]) -> IntArray:
    """The value one node writes, from the values it reads (as in `run_graph`)."""
    value = graph.values[node.output]
    kind = np.int16 if value.wide else np.int8 if value.signed else np.uint8
    return compute(node, values, value.signed).astype(kind)


def compute(node: ir.Node, values: Mapping[str, IntArray], signed: bool) -> IntArray:
    """What one node makes of the values it reads, within its clamp, not yet of the output's type.

    `signed`: of the output.
    """
    match node:
        case ir.Concat():
            return np.concatenate([values[name] for name in node.inputs], axis=1)
        case ir.Conv():
            return _conv(node, values)
        case ir.Pool():
            return _pool(node, values[node.input], signed)
        case ir.MapPool():
            return _map_pool(node, values[node.input])
        case ir.Frame():
            return _frame(node, values[node.input])
        case ir.Interleave():
            return _interleave(node, values[node.input])
        case ir.Lookup():
            return node.entries.astype(np.int64)[values[node.input].view(np.uint8)]
        case ir.Gate():
            return _gate(node, values[node.input])
        case ir.Dense():
            acc = _matrix_product(values[node.input], node.weight) + node.bias
            return np.clip(_requantize(acc, node.requantize), *node.clamp)


def _input(graph: ir.Graph, images_q: IntArray) -> IntArray:
    value = graph.values[graph.input]
    images = np.asarray(images_q)
    if images.ndim != 4 or images.shape[1:] != value.shape:
        raise ValueError(f"images have shape {images.shape}, (N, {value.shape}) is expected")
    low, high = numerics.type_range(value.signed)
    if images.dtype.kind not in "iu" or (images.size and not _within(images, low, high)):
        raise ValueError(f"images are not integers in {low}..{high}")
    return images.astype(np.int8 if value.signed else np.uint8)


def _within(images: IntArray, low: int, high: int) -> bool:
    return bool(int(images.min()) >= low and int(images.max()) <= high)


def _conv(node: ir.Conv, values: Mapping[str, IntArray]) -> IntArray:
    """(N, O, H', W') int64, clamped."""
    source = values[node.input]
    source = source[:, node.order] if node.order else source
    source = source.reshape(len(source), -1, 1, 1) if node.pixels > 1 else source
    source = source if node.weight.shape[1] else source[:, :0]
    source = source[:, :, node.plane >> 1 :, node.plane & 1 :]
    sources = np.split(source, node.groups, axis=1)
    weights = np.split(node.weight, node.groups)
    groups = [
        _accumulate(x, w, node.stride, node.pad) for x, w in zip(sources, weights, strict=True)
    ]
    acc = np.concatenate(groups, axis=1)
    acc += node.bias.astype(np.int64)[:, None, None]
    multiplier = node.requantize.multiplier.astype(np.int64)[None, :]  # (1, O)
    if node.fold is not None:
        scores = values[node.fold.scores]  # (N, n)
        scores = scores if node.fold.per_channel else scores[:, :1]
        multiplier = numerics.fold(multiplier, scores)  # (N, O)
    shift = node.requantize.shift.astype(np.int64)[:, None, None]
    result = numerics.requantize(acc, multiplier[:, :, None, None], shift)
    if node.saturate_before_add:
        result = np.clip(result, -128, 127)
    if node.residual is not None:
        result = result + values[node.residual]
    result = np.clip(result, *node.clamp)
    return result if node.table is None else node.table.astype(np.int64)[result & 0xFF]


def _pool(node: ir.Pool, source: IntArray, signed: bool) -> IntArray:
    """(N, C) int64."""
    total = source.astype(np.int64).sum(axis=(2, 3))
    average = numerics.requantize(total, np.int64(node.multiplier), np.int64(node.shift))
    return np.clip(average, *numerics.type_range(signed))


def _map_pool(node: ir.MapPool, source: IntArray) -> IntArray:
    """(N, C, H', W') int64, clamped."""
    rows, columns = node.out_size(*source.shape[2:])
    pad, step = node.pad, node.stride
    wide = source.astype(np.int64)
    outside = 0 if node.average else int(wide.min(initial=0))
    padded = np.pad(wide, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=outside)
    taps = [
        padded[
            :, :, kh : kh + (rows - 1) * step + 1 : step, kw : kw + (columns - 1) * step + 1 : step
        ]
        for kh in range(node.kernel)
        for kw in range(node.kernel)
    ]
    if node.average:
        return np.clip(_requantize(np.sum(taps, axis=0), node.average), *node.clamp)
    return np.clip(np.max(taps, axis=0), *node.clamp)


def _frame(node: ir.Frame, source: IntArray) -> IntArray:
    """(N, C, H', W') int64."""
    source = source[:, node.channels] if node.channels else source
    sides: tuple[int, int] = source.shape[2:]  # type: ignore[assignment]
    shape = (*source.shape[:2], node.height, node.width)
    result = np.full(shape, node.fill, np.int64)
    rows, columns = node.seen(sides)
    if rows and columns:
        made = np.ix_(rows, columns)
        seen = np.ix_(
            [node.top + row * node.steps[0] for row in rows],
            [node.left + column * node.steps[1] for column in columns],
        )
        result[:, :, made[0], made[1]] = source[:, :, seen[0], seen[1]]
    return result


def _interleave(node: ir.Interleave, source: IntArray) -> IntArray:
    """(N, C, H', W') of the source's type."""
    result = np.empty((len(source), node.channels, node.height, node.width), source.dtype)
    for phase in range(4):
        part = result[:, :, phase >> 1 :: 2, phase & 1 :: 2]
        channels = np.arange(node.channels) * node.channel + phase * node.phase
        part[...] = source[:, channels, : part.shape[2], : part.shape[3]]
    return result


def _gate(node: ir.Gate, source: IntArray) -> IntArray:
    """Scores (N, n) int64, 0..128."""
    acc = _matrix_product(source, node.weight) + node.bias
    if node.binary:
        return np.where(acc > 0, np.int64(numerics.SCORE_ONE), np.int64(0))
    if node.kind == GateKind.SIGMOID:
        return numerics.sigmoid_scores(_requantize(acc, node.requantize))
    return np.clip(_requantize(acc, node.requantize), 0, numerics.SCORE_ONE)


def _requantize(acc: IntArray, factors: ir.Requantize) -> IntArray:
    return numerics.requantize(acc, factors.multiplier, factors.shift)


def _accumulate(source: IntArray, weight: IntArray, stride: int, outside: int) -> IntArray:
    """sum(w * x) of a convolution padded by K // 2 of `outside`: (N, O, H', W') int64."""
    outputs, channels, kernel, _ = weight.shape
    pad = kernel // 2
    sides = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    padded = np.pad(source, sides, constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]  # (N, C, H', W', K, K)
    count, _, height, width = windows.shape[:4]
    taps = channels * kernel * kernel
    if not taps:
        return np.zeros((count, outputs, height, width), dtype=np.int64)
    flat = weight.reshape(outputs, taps)
    step = max(1, PATCH_ELEMENTS // (taps * height * width))
    result = np.empty((count, outputs, height, width), dtype=np.int64)
    for first in range(0, count, step):
        part = windows[first : first + step].transpose(0, 2, 3, 1, 4, 5)  # (n, H', W', C, K, K)
        sums = _matrix_product(part.reshape(-1, taps), flat)  # (n * H' * W', O)
        part_shape = (-1, height, width, outputs)
        result[first : first + step] = sums.reshape(part_shape).transpose(0, 3, 1, 2)
    return result


def _matrix_product(rows: IntArray, weight: IntArray) -> IntArray:
    """rows @ weight.T, exact: (M, T) x (O, T) -> (M, O) int64.

    Floating point is used where no partial sum can leave its exact integers: accumulators stay
    below 2^31 (proved on import), far below float64's 2^53.
    """
    largest = int(np.abs(rows.astype(np.int16)).max(initial=0))
    bound = largest * int(np.abs(weight.astype(np.int64)).sum(axis=1).max(initial=0))
    kind: npt.DTypeLike = np.float32 if bound < FLOAT32_EXACT else np.float64
    assert bound < 1 << 53
    product = rows.astype(kind) @ weight.astype(kind).T
    return np.asarray(product.astype(np.int64))

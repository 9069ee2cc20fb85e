"""Packing of weights: the two layouts of convolutions and the gate memory (docs/program.md)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from penstock.compiler.ir import Dense, Gate, IntArray, Requantize
from penstock.program.base.arith import ceil_div, round_up
from penstock.program.core.config import BEAT_BYTES, GATE_WORD_BYTES, HwConfig, gate_row_bytes

Bytes = npt.NDArray[np.uint8]

#: Bytes of the parameters of one output channel.
PARAMETER_BYTES = 8
_PARAMETERS = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("zero", "u1")])


def parameters(bias: IntArray, requantize: Requantize) -> Bytes:
    """uint8 [n, 8]: bias, multiplier, shift, zero of each output channel."""
    table = np.zeros(len(bias), _PARAMETERS)
    table["bias"] = bias
    table["multiplier"] = requantize.multiplier
    table["shift"] = requantize.shift
    return table.view(np.uint8).reshape(len(bias), PARAMETER_BYTES)


def pack_interleaved(
    weight: IntArray, bias: IntArray, requantize: Requantize, config: HwConfig
) -> tuple[Bytes, int]:
    """(bytes, w_stride) of int8 weights [O, I, K, K]: groups of P_oc rows."""
    rows = config.p_oc
    outputs, inputs, kernel, _ = weight.shape
    depth = config.row_taps(kernel, w_rows=False)
    groups = ceil_div(outputs, rows)
    padded = np.zeros((groups * rows, inputs, depth), np.int8)
    padded[:outputs, :, : kernel * kernel] = weight.reshape(outputs, inputs, kernel * kernel)
    chunks = padded.reshape(groups, rows, inputs * depth).transpose(0, 2, 1)  # [g, ic*t, lane]
    head = np.zeros((groups * rows, PARAMETER_BYTES), np.uint8)
    head[:outputs] = parameters(bias, requantize)
    head[outputs:, 6] = 1  # rows of padding: a legal shift
    body = np.ascontiguousarray(chunks).view(np.uint8).reshape(groups, inputs * depth * rows)
    image = np.concatenate([head.reshape(groups, rows * PARAMETER_BYTES), body], axis=1)
    return image.reshape(-1), image.shape[1]


def pack_rows(weight: IntArray, bias: IntArray, requantize: Requantize) -> tuple[Bytes, int]:
    """(bytes, w_stride) of weights [O, ...]: each output channel's parameters and weights."""
    outputs = len(bias)
    flat = weight.reshape(outputs, -1).astype(np.int8)
    body = np.zeros((outputs, round_up(flat.shape[1], BEAT_BYTES)), np.uint8)
    body[:, : flat.shape[1]] = flat.view(np.uint8)
    image = np.concatenate([parameters(bias, requantize), body], axis=1)
    return image.reshape(-1), image.shape[1]


def pack_gate_rows(weight: IntArray, bias: IntArray, requantize: Requantize) -> Bytes:
    """Gate memory rows of dense weights [O, I]: a word of parameters, then whole words."""
    outputs, inputs = weight.shape
    image = np.zeros((outputs, gate_row_bytes(inputs)), np.uint8)
    image[:, :PARAMETER_BYTES] = parameters(bias, requantize)
    weights = slice(GATE_WORD_BYTES, GATE_WORD_BYTES + inputs)
    image[:, weights] = weight.astype(np.int8).view(np.uint8)
    return image.reshape(-1)


def dense_bytes(inputs: int, outputs: int) -> int:
    """Bytes in gate memory of a GATE or DENSE, the pool's parameters included."""
    return GATE_WORD_BYTES + outputs * gate_row_bytes(inputs)


def pack_dense(
    layers: Sequence[Gate | Dense], pool_multiplier: int, pool_shift: int, part: tuple[int, int]
) -> Bytes:
    """Gate memory image of one GATE or DENSE: the pool's parameters, then a row an output.

    `part`: (first, end) of the layers' outputs in a row.
    """
    pool = Requantize(
        multiplier=np.array([pool_multiplier], np.uint16), shift=np.array([pool_shift], np.uint8)
    )
    head = np.zeros(GATE_WORD_BYTES, np.uint8)
    head[:PARAMETER_BYTES] = parameters(np.zeros(1, np.int32), pool)
    rows = [pack_gate_rows(layer.weight, layer.bias, layer.requantize) for layer in layers]
    size = gate_row_bytes(layers[0].weight.shape[1])
    return np.concatenate([head, np.concatenate(rows)[part[0] * size : part[1] * size]])


def join_images(images: Sequence[Bytes], limit: int) -> list[Bytes]:
    """The images joined in order into as few arrays of at most `limit` bytes as that gives."""
    joined: list[list[Bytes]] = [[]]
    for image in images:
        if joined[-1] and sum(map(len, joined[-1])) + len(image) > limit:
            joined.append([])
        joined[-1].append(image)
    return [np.concatenate(parts) for parts in joined]

"""CONV: weights as the core reads them, windows as matrix columns, the epilogue."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from penstock.compiler.numerics import MAX_SHIFT, fold, requantize
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import ALL_CHANNELS, HwConfig
from penstock.program.core.descriptor import Descriptor
from penstock.program.core.registers import ErrorCode
from penstock.sim.golden.checks import out_size
from penstock.sim.golden.state import Array, GoldenError, State

#: Sums of this many 8-bit products are exact in float32: 2^24 / (128 * 255).
_FLOAT32_TERMS = 514
_PARAMETERS = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("zero", "u1")])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Parameters and weights of every output channel of one CONV."""

    weight: Array  # (cout, inputs, K * K) int8; depthwise: one input, the channel itself
    bias: Array  # (cout,) int64
    multiplier: Array  # (cout,) int64
    shift: Array  # (cout,) int64


def parameters(data: Array) -> tuple[Array, Array, Array]:
    """(bias, multiplier, shift) as int64 from uint8 [n, 8].

    The shift is its low six bits; past 47 every result is 0, as it is with multiplier 0.
    """
    table = np.ascontiguousarray(data).view(_PARAMETERS).reshape(-1)
    bias, multiplier, shift = (
        table[name].astype(np.int64) for name in ("bias", "multiplier", "shift")
    )
    shift &= 0x3F
    gone = shift > MAX_SHIFT
    return bias, np.where(gone, 0, multiplier), np.where(gone, MAX_SHIFT, shift)


def wrap32(acc: Array) -> Array:
    """int64 -> the int32 an accumulator holds, as int64."""
    return acc.astype(np.int32).astype(np.int64)


def read_rows(d: Descriptor, blob: Array, config: HwConfig) -> Rows:
    """Decode the weights of a checked CONV from the weight blob (uint8)."""
    taps, inputs = d.kernel * d.kernel, d.row_inputs
    if d.w_rows:
        size = 8 + inputs * taps
        image = as_strided(blob[d.w_addr :], (d.cout, size), (d.w_stride, 1))
        heads, body = image[:, :8], np.ascontiguousarray(image[:, 8:])
        weight = body.view(np.int8).reshape(d.cout, inputs, taps)
    else:
        lanes, depth = config.p_oc, config.row_taps(d.kernel, w_rows=False)
        groups = ceil_div(d.cout, lanes)
        size = 8 * lanes + inputs * config.chunk_bytes(d.kernel)
        image = as_strided(blob[d.w_addr :], (groups, size), (d.w_stride, 1))
        heads = image[:, : 8 * lanes].reshape(groups * lanes, 8)[: d.cout]
        body = np.ascontiguousarray(image[:, 8 * lanes :]).view(np.int8)
        lane = body.reshape(groups, inputs, depth, lanes).transpose(0, 3, 1, 2)
        weight = lane.reshape(groups * lanes, inputs, depth)[: d.cout, :, :taps]
    bias, multiplier, shift = parameters(heads)
    return Rows(weight=weight, bias=bias, multiplier=multiplier, shift=shift)


def _source(d: Descriptor, fmem: Array, ics: Array) -> Array:
    """The source maps (n, H, W) of the chosen channels, as stored (uint8)."""
    if not d.polyphase:
        view = as_strided(fmem[d.src :], (d.cin, d.height, d.width), (d.src_stride, d.width, 1))
        return view[ics]
    rows, columns = out_size(d)
    strides = (d.src_stride, 2 * d.phase_stride, d.phase_stride, columns, 1)
    planes = as_strided(fmem[d.src :], (d.cin, 2, 2, rows, columns), strides)[ics]
    maps = planes.transpose(0, 3, 1, 4, 2).reshape(len(ics), 2 * rows, 2 * columns)
    return maps[:, : d.height, : d.width]


def _columns(d: Descriptor, fmem: Array, ics: Array, dtype: type) -> Array:
    """(n * K * K, Ho * Wo) input windows, `pad_value` outside the map."""
    maps, outside = _source(d, fmem, ics), np.array(d.pad_value, np.uint8)
    if d.src_signed:
        maps, outside = maps.view(np.int8), outside.view(np.int8)
    stride = 2 if d.polyphase else 1
    rows, columns = out_size(d)
    pad = d.kernel // 2
    padded: npt.NDArray[Any] = np.full(
        (len(ics), d.height + 2 * pad, d.width + 2 * pad), outside, dtype
    )
    padded[:, pad : pad + d.height, pad : pad + d.width] = maps
    windows = sliding_window_view(padded, (d.kernel, d.kernel), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 3, 4, 1, 2)
    return windows.reshape(-1, rows * columns)


def channels(selector: int, count: int, state: State) -> Array:
    """The channels a list selects, increasing.  BOUNDS if the list may hold others."""
    if selector == ALL_CHANNELS:
        return np.arange(count)
    if state.bounds[selector] > count:
        reason = f"list of {state.bounds[selector]} channels, the map has {count}"
        raise GoldenError(ErrorCode.BOUNDS, reason=reason)
    return state.lists[selector]


def _depthwise(d: Descriptor, rows: Rows, fmem: Array, ocs: Array) -> Array:
    """(n, Ho * Wo) sums of the channels `ocs`, each over its own input channel, int64."""
    taps = d.kernel * d.kernel
    windows = _columns(d, fmem, ocs, np.int32).reshape(len(ocs), taps, -1)
    weight = rows.weight[ocs].reshape(len(ocs), taps).astype(np.int32)
    return np.asarray(np.einsum("ct,ctp->cp", weight, windows).astype(np.int64))


def convolve(d: Descriptor, rows: Rows, state: State, ics: Array, ocs: Array) -> None:
    """Compute the output channels `ocs` from the input channels `ics` and write them.

    A depthwise convolution reads the channels `ocs`, or none if `ics` is empty.
    """
    height, width = out_size(d)
    acc = np.broadcast_to(rows.bias[ocs, None], (len(ocs), height * width))
    terms = len(ics) * d.kernel * d.kernel
    if d.depthwise and terms and len(ocs):
        acc = acc + _depthwise(d, rows, state.fmem, ocs)
    elif terms and len(ocs):
        dtype = np.float32 if terms <= _FLOAT32_TERMS else np.float64
        weight = rows.weight[ocs][:, ics].reshape(len(ocs), terms).astype(dtype)
        acc = acc + (weight @ _columns(d, state.fmem, ics, dtype)).astype(np.int64)
    multiplier = rows.multiplier[ocs]
    if d.fold_en:
        slots = d.fold_slot + (ocs if d.fold_channel else np.zeros_like(ocs))
        multiplier = fold(multiplier, state.scores[slots])
    y = requantize(wrap32(acc), multiplier[:, None], rows.shift[ocs, None])
    if d.res_sat8:
        y = np.clip(y, -128, 127)
    out = as_strided(state.fmem[d.dst :], (d.cout, height * width), (d.dst_stride, 1))
    if d.res_en:
        old = out[ocs]
        y = y + (old.view(np.int8) if d.res_signed else old)
    y = np.clip(y, d.clamp_lo, d.clamp_hi)
    if d.has_table:
        assert state.table is not None, "Machine looks at this"
        y = state.table[y & 0xFF]
        y = (y.view(np.int8) if d.clamp_lo < 0 else y).astype(np.int64)
    out[ocs] = (y & 0xFF).astype(np.uint8)
    if d.pool_en:
        state.pool[d.pool_base + ocs] = y.sum(axis=1)

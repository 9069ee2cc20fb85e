"""POOL: maximum or average of the windows of linear maps."""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from penstock.compiler.numerics import requantize
from penstock.program.core.descriptor import Descriptor
from penstock.sim.golden.checks import out_size
from penstock.sim.golden.state import Array, State


def _windows(d: Descriptor, maps: Array, outside: int) -> Array:
    """(C, Ho, Wo, K, K) int16; `outside` stands beyond the map."""
    pad, step = d.pad, 2 if d.stride2 else 1
    sides = ((0, 0), (pad, pad), (pad, pad))
    padded = np.pad(maps.astype(np.int16), sides, constant_values=outside)
    return sliding_window_view(padded, (d.kernel, d.kernel), axis=(1, 2))[:, ::step, ::step]


def pool(d: Descriptor, state: State) -> None:
    """Compute every channel of a checked POOL and write it."""
    shape = (d.cout, d.height, d.width)
    maps = as_strided(state.fmem[d.src :], shape, (d.src_stride, d.width, 1))
    maps = maps.view(np.int8) if d.src_signed else maps
    if d.average:
        sums = _windows(d, maps, 0).sum(axis=(3, 4), dtype=np.int64)
        y = requantize(sums, np.int64(d.w_addr & 0xFFFF), np.int64(d.w_addr >> 16))
        y = np.clip(y, d.clamp_lo, d.clamp_hi)
    else:
        y = _windows(d, maps, -128 if d.src_signed else 0).max(axis=(3, 4)).astype(np.int64)
    rows, columns = out_size(d)
    strides = (d.dst_stride, columns, 1)
    as_strided(state.fmem[d.dst :], (d.cout, rows, columns), strides)[:] = (y & 0xFF).astype(
        np.uint8
    )

"""EXIT_IF: the softmax confidence of a classifier head against a bound."""

import numpy as np

from penstock.compiler.numerics import exit_entries
from penstock.program.core.config import EXIT_TABLE_BYTES
from penstock.program.core.descriptor import Descriptor
from penstock.sim.golden.state import State


def exit_taken(d: Descriptor, state: State) -> bool:
    """Whether a checked EXIT_IF goes on at its later descriptor."""
    places = d.src + d.src_stride * np.arange(d.cin)[:, None] + np.arange(d.number_bytes)
    kind = "<i2" if d.wide else "i1" if d.src_signed else "u1"
    logits = state.fmem[places].view(kind)[:, 0].astype(np.int64)
    table = state.gmem[d.w_addr : d.w_addr + EXIT_TABLE_BYTES].view("<u2")
    return int(table[exit_entries(logits, wide=d.wide)].sum(dtype=np.int64)) <= d.w_stride

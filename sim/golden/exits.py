"""EXIT_IF: the softmax confidence of a classifier head against a bound."""

import numpy as np

from penstock.program.core.config import EXIT_TABLE_BYTES
from penstock.program.core.descriptor import Descriptor
from penstock.sim.golden.state import State


def exit_taken(d: Descriptor, state: State) -> bool:
    """Whether a checked EXIT_IF goes on at its later descriptor."""
    logits = state.fmem[d.src + d.src_stride * np.arange(d.cin)]
    logits = (logits.view(np.int8) if d.src_signed else logits).astype(np.int64)
    table = state.gmem[d.w_addr : d.w_addr + EXIT_TABLE_BYTES].view("<u2")
    return int(table[logits.max() - logits].sum(dtype=np.int64)) <= d.w_stride

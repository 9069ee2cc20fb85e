"""Constants of the HLS core's cycle model: the one place to fit it to a synthesis report.

The core counts them (docs/hls.md, "Cycle model"); what it reports with them is an estimate.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HlsTiming:
    """Cycles, as a Vitis HLS design of this source is believed to take them.

    Attributes:
        memory: from a read request on the bus to its first beat; adapter: of the bus adapter, both
            ways.
        loop: to enter and leave a pipelined loop.
        descriptor: decoding and checking one descriptor, which an operation before it hides;
            dispatch: from there to its unit.
        setup: of a convolution before its step loop.
        step_depth, fetch_depth, vector_depth, dense_depth, copy_depth, pool_depth, exit_depth:
            stages of the pipelined loops of CONV, of weights fetched beside a COPY or POOL, of the
            pooled vector, of GATE and DENSE, COPY, POOL, EXIT_IF.
        load_depth, store_depth: of the loops of LOAD and GLOAD, and of STORE and the record.
    """

    memory: int = 40
    adapter: int = 8
    loop: int = 2
    descriptor: int = 22
    dispatch: int = 4
    setup: int = 16
    step_depth: int = 60
    fetch_depth: int = 16
    vector_depth: int = 12
    dense_depth: int = 20
    copy_depth: int = 11
    pool_depth: int = 22
    exit_depth: int = 6
    load_depth: int = 6
    store_depth: int = 10

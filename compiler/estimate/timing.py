"""Constants of the core's timing: the one place to fit the cost model to the RTL."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Constants of the core, in cycles.

    Attributes:
        latency: of the memory: from a read request to its first beat.
        restart: from start or the end of a record to the request of the first descriptor.
        ahead: descriptors that are asked for before they are needed.
        arrive: from a descriptor's last beat to its turn; assemble: from its predecessor's end.
        dispatch: taking, checking and deciding one descriptor; a skipped one takes one less.
        unit: start and end of an operation that is waited for; begin: its start alone.
        fetch: from the fetcher's start to the array's on a group, beside latency and beats.
        refetch: from a convolution's last beat to the request of the next one's first group.
        burst: of a read burst's slot, beside latency and beats.
        walk: until the first survivor of a group of rows is known.
        group: from the release of a half of the weight buffer to the request for its next group.
        tile: least cycles of a tile: its sums on their way to the shadow accumulators.
        shadow_slices: slices of a tile that may be left when the next one ends.
        shadow_rows: the same of a residual tile that may be left when the next one ends.
        drain: from a CONV's last step to its last write, rows not counted; total: more, until its
            last pooled sum.
        release: from a group's last step to the release of its weights, rows not counted.
        gate: fixed part of GATE and DENSE.  follow: from a sum to its element of the vector.
        fill: of a GATE that stops, beside its words of zeros.  copy: fixed part of COPY;
        pool, average: of POOL by its kind.
        exit: fixed part of EXIT_IF, beside two cycles a logit.
        load: fixed part of LOAD and GLOAD, beside latency.  store: of STORE and of the record.
        capture: from the start of the record to its counters being taken.
    """

    latency: int = 40
    restart: int = 3
    ahead: int = 4
    arrive: int = 0
    assemble: int = 8
    dispatch: int = 5
    unit: int = 3
    begin: int = 2
    fetch: int = 8
    refetch: int = 8
    burst: int = 4
    walk: int = 4
    group: int = 2
    tile: int = 9
    shadow_slices: int = 9
    shadow_rows: int = 4
    drain: int = 18
    total: int = 1
    release: int = 9
    gate: int = 12
    follow: int = 6
    fill: int = 2
    copy: int = 4
    pool: int = 7
    average: int = 14
    exit: int = 7
    load: int = 0
    store: int = 11
    capture: int = 1

"""Programs the core refuses: one table for every engine (test_golden.py, test_errors.py)."""

import dataclasses
from typing import Any

import numpy as np

from penstock.compiler.estimate.activity import decode
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import ALL_CHANNELS, GATE_WORD_BYTES, TABLE_BYTES, get_config
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, GLOAD_TABLE, Descriptor, Op
from penstock.program.core.registers import ErrorCode, Position
from penstock.program.network.package import Package
from tests.compiler.back.graphs import GraphBuilder

TINY = get_config("tiny")
RNG = np.random.default_rng


def network(keep: float = 0.0, schedule: str = "sequential") -> Package:
    """Two gated blocks, in place and projected, behind an average of 3 x 3 windows."""
    build = GraphBuilder(rng=RNG(1))
    x = build.value("x", (2, 6, 8), signed=True)
    y = build.conv(build.map_pool(x, 3, 1, 1, average=True), 6)
    y = build.block(y, 6, 1, keep)
    build.leave(build.pool(y), 10, threshold=2.0)  # never
    y = build.block(y, 10, 2, keep)
    graph = build.graph(x, build.dense(build.pool(y), 10))
    return compile_graph(graph, TINY, schedule)


def walker(package: Package) -> int:
    """Index of the first convolution that walks a list."""
    code = enumerate(decode(package))
    return next(i for i, d in code if d.op == Op.CONV and d.in_list != ALL_CHANNELS)


def at_index(package: Package, index: int, **values: int) -> Package:
    """`package` with fields of one descriptor replaced."""
    start = index * DESCRIPTOR_BYTES
    d = decode(package)[index]
    data = Descriptor(values=d.values | values).encode()
    code = package.descriptors[:start] + data + package.descriptors[start + DESCRIPTOR_BYTES :]
    return dataclasses.replace(package, descriptors=code)


def first_of(package: Package, op: Op) -> int:
    """Index of the first descriptor with operation `op`."""
    return next(i for i, d in enumerate(decode(package)) if d.op == op)


def with_shift(package: Package, shift: int, op: Op = Op.CONV) -> Package:
    """The first descriptor `op` with another shift, in two places.

    Of a CONV the first two outputs; of a GATE or DENSE its vector and the first output.
    """
    code = decode(package)
    d = next(d for d in code if d.op == op)
    if op == Op.CONV:
        at, step = d.w_addr, d.w_stride if d.w_rows else 8
    else:  # a word for the vector, then the rows
        load = next(d for d in code if d.op == Op.GLOAD)
        at, step = load.w_addr + d.w_addr - load.dst, GATE_WORD_BYTES
    blob = bytearray(package.weights)
    for place in range(2):
        blob[at + place * step + 6] = shift
    return dataclasses.replace(package, weights=bytes(blob))


def by_table(package: Package, entries: bytes = RNG(6).bytes(TABLE_BYTES)) -> Package:
    """`package` with a table of activations, which the results of every convolution go through.

    A GLOAD more stands at the beginning.
    """
    blob = package.weights.ljust(-(-len(package.weights) // 8) * 8, b"\0")
    values = {"variant": GLOAD_TABLE, "length": TABLE_BYTES, "w_addr": len(blob)}
    code = [Descriptor.make(Op.GLOAD, **values)]
    for d in decode(package):
        moved = d.length + 1 if d.op in (Op.HALT, Op.EXIT_IF) else d.length
        changed = {"length": TABLE_BYTES if d.op == Op.CONV else moved}
        code.append(Descriptor(values=d.values | changed))
    return dataclasses.replace(
        package,
        descriptors=b"".join(d.encode() for d in code),
        weights=blob + entries,
    )


def last_halt(package: Package) -> int:
    """The HALT of an image that takes no exit."""
    return first_of(package, Op.HALT)


#: (operation whose first descriptor is changed, fields, the error it gives)
ILLEGAL: list[tuple[Op, dict[str, Any], ErrorCode]] = [
    (Op.LOAD, {"op": 0}, ErrorCode.OPCODE),
    (Op.LOAD, {"op": max(Op) + 1}, ErrorCode.OPCODE),
    (Op.LOAD, {"length": 0}, ErrorCode.FIELD),
    (Op.LOAD, {"ddr": 4}, ErrorCode.FIELD),
    (Op.LOAD, {"length": 97}, ErrorCode.BOUNDS),
    (Op.LOAD, {"dst": TINY.fmem_bytes - 95}, ErrorCode.BOUNDS),
    (Op.LOAD, {"pred_en": 1, "pred_slot": TINY.score_depth}, ErrorCode.BOUNDS),
    (Op.GLOAD, {"w_addr": 4}, ErrorCode.FIELD),
    (Op.GLOAD, {"dst": TINY.gate_mem_bytes - 8}, ErrorCode.BOUNDS),
    (Op.GLOAD, {"w_addr": 1 << 20}, ErrorCode.BOUNDS),
    (Op.GLOAD, {"variant": 2}, ErrorCode.FIELD),
    (Op.GLOAD, {"variant": 3, "length": 256}, ErrorCode.FIELD),
    (Op.GLOAD, {"variant": 1, "length": 248}, ErrorCode.FIELD),
    (Op.GLOAD, {"variant": 1, "length": 264}, ErrorCode.FIELD),
    (Op.GLOAD, {"variant": 1, "length": 256, "w_addr": 4}, ErrorCode.FIELD),
    (Op.GLOAD, {"variant": 1, "length": 256, "w_addr": 1 << 20}, ErrorCode.BOUNDS),
    (Op.CONV, {"length": 1}, ErrorCode.FIELD),
    (Op.CONV, {"length": 255}, ErrorCode.FIELD),
    (Op.CONV, {"length": 512}, ErrorCode.FIELD),
    (Op.CONV, {"length": 1 << 31 | 256}, ErrorCode.FIELD),
    (Op.CONV, {"length": 256}, ErrorCode.BOUNDS),  # nothing has loaded a table
    (Op.CONV, {"kernel": 2}, ErrorCode.FIELD),
    (Op.CONV, {"kernel": 9}, ErrorCode.FIELD),
    (Op.CONV, {"cout": 0}, ErrorCode.FIELD),
    (Op.CONV, {"cin": TINY.max_channels + 1}, ErrorCode.FIELD),
    (Op.CONV, {"height": 0}, ErrorCode.FIELD),
    (Op.CONV, {"width": 1024}, ErrorCode.FIELD),
    (Op.CONV, {"in_list": TINY.n_lists}, ErrorCode.FIELD),
    (Op.CONV, {"out_list": 0}, ErrorCode.FIELD),  # interleaved
    (Op.CONV, {"w_addr": 4}, ErrorCode.FIELD),
    (Op.CONV, {"variant": 1}, ErrorCode.FIELD),  # from 2 to 6 channels
    (Op.CONV, {"variant": 1, "cin": 6, "in_list": 0}, ErrorCode.FIELD),
    (Op.CONV, {"variant": 2}, ErrorCode.FIELD),
    (Op.CONV, {"polyphase": 1, "phase_stride": 16}, ErrorCode.FIELD),
    (Op.CONV, {"src": TINY.fmem_bytes - 95}, ErrorCode.BOUNDS),
    (Op.CONV, {"dst": TINY.fmem_bytes - 8}, ErrorCode.BOUNDS),
    (Op.CONV, {"w_addr": 1 << 20}, ErrorCode.BOUNDS),
    (Op.CONV, {"pool_base": TINY.pool_depth - 1}, ErrorCode.BOUNDS),
    (Op.CONV, {"fold_en": 1, "fold_slot": TINY.score_depth}, ErrorCode.BOUNDS),
    (Op.CONV, {"src_stride": TINY.fmem_bytes}, ErrorCode.BOUNDS),
    (Op.CONV, {"clamp_lo": 1, "clamp_hi": 0}, ErrorCode.FIELD),
    (Op.CONV, {"clamp_hi": -(1 << 15)}, ErrorCode.FIELD),
    (Op.DENSE, {"clamp_lo": 128, "clamp_hi": 127}, ErrorCode.FIELD),
    (Op.GATE, {"cin": 0}, ErrorCode.FIELD),
    (Op.GATE, {"list_from": 8}, ErrorCode.FIELD),
    (Op.GATE, {"src": TINY.max_channels - 5}, ErrorCode.FIELD),
    (Op.GATE, {"variant": 1, "list_from": 0}, ErrorCode.FIELD),
    (Op.GATE, {"variant": 3, "gate_kind": 0}, ErrorCode.FIELD),
    (Op.GATE, {"variant": 2, "gate_kind": 1}, ErrorCode.FIELD),
    (Op.DENSE, {"variant": 2}, ErrorCode.FIELD),
    (Op.GATE, {"w_addr": 4}, ErrorCode.FIELD),
    (Op.GATE, {"dst": TINY.score_depth - 1}, ErrorCode.BOUNDS),
    (Op.GATE, {"w_addr": TINY.gate_mem_bytes - 16}, ErrorCode.BOUNDS),
    (Op.GATE, {"w_addr": 8}, ErrorCode.FIELD),
    (Op.COPY, {"phase_stride": 13}, ErrorCode.FIELD),
    (Op.COPY, {"variant": 3, "phase_stride": TINY.fmem_bytes}, ErrorCode.FIELD),
    (Op.COPY, {"variant": 3, "phase_stride": TINY.fmem_bytes // 3}, ErrorCode.BOUNDS),
    (Op.COPY, {"variant": 3, "src": TINY.fmem_bytes - 8}, ErrorCode.BOUNDS),
    (Op.COPY, {"variant": 3, "dst": TINY.fmem_bytes - 24}, ErrorCode.BOUNDS),
    (Op.COPY, {"variant": 3, "width": 1024}, ErrorCode.FIELD),
    (Op.COPY, {"variant": 2, "height": 1}, ErrorCode.FIELD),
    (Op.COPY, {"dst": TINY.fmem_bytes - 8}, ErrorCode.BOUNDS),
    (Op.POOL, {"cout": 0}, ErrorCode.FIELD),
    (Op.POOL, {"cout": TINY.max_channels + 1}, ErrorCode.FIELD),
    (Op.POOL, {"height": 1024}, ErrorCode.FIELD),
    (Op.POOL, {"kernel": 0}, ErrorCode.FIELD),
    (Op.POOL, {"kernel": 8}, ErrorCode.FIELD),
    (Op.POOL, {"pad": 2}, ErrorCode.FIELD),
    (Op.POOL, {"kernel": 7, "pad": 0}, ErrorCode.FIELD),  # the map has six rows
    (Op.POOL, {"kernel": 1, "pad": 0}, ErrorCode.FIELD),  # an average of one pixel
    (Op.POOL, {"w_addr": 0xFFFF}, ErrorCode.FIELD),
    (Op.POOL, {"w_addr": 48 << 16}, ErrorCode.FIELD),
    (Op.POOL, {"src": TINY.fmem_bytes - 2 * 48 + 1}, ErrorCode.BOUNDS),
    (Op.POOL, {"dst": TINY.fmem_bytes - 2 * 48 + 1}, ErrorCode.BOUNDS),
    (Op.POOL, {"dst_stride": TINY.fmem_bytes}, ErrorCode.BOUNDS),
    (Op.DENSE, {"dst": TINY.fmem_bytes - 1}, ErrorCode.BOUNDS),
    (Op.STORE, {"ddr": 4}, ErrorCode.FIELD),
    (Op.STORE, {"src": TINY.score_depth - 8}, ErrorCode.BOUNDS),
    (Op.STORE, {"ddr": 1 << 12}, ErrorCode.BOUNDS),
    (Op.HALT, {"length": 100}, ErrorCode.FIELD),
    (Op.EXIT_IF, {"cin": 0}, ErrorCode.FIELD),
    (Op.EXIT_IF, {"cin": TINY.max_channels + 1}, ErrorCode.FIELD),
    (Op.EXIT_IF, {"w_addr": 8}, ErrorCode.FIELD),
    (Op.EXIT_IF, {"w_addr": TINY.gate_mem_bytes - 496}, ErrorCode.BOUNDS),
    (Op.EXIT_IF, {"src": TINY.fmem_bytes - 9}, ErrorCode.BOUNDS),
    (Op.EXIT_IF, {"src_stride": TINY.fmem_bytes // 9}, ErrorCode.BOUNDS),
    (Op.EXIT_IF, {"src_stride": TINY.fmem_bytes}, ErrorCode.BOUNDS),
    (Op.EXIT_IF, {"length": 0}, ErrorCode.FIELD),
    (Op.EXIT_IF, {"length": 100}, ErrorCode.FIELD),
    # A wrong field is reported before an access out of bounds.
    (Op.CONV, {"kernel": 2, "src": TINY.fmem_bytes}, ErrorCode.FIELD),
]


def _skipped_but_wrong() -> tuple[Package, ErrorCode, Position]:
    """A skipped descriptor is checked too."""
    package = network(keep=-16.0)
    index = next(i for i, d in enumerate(decode(package)) if d.pred_en and not d.pred_empty)
    return at_index(package, index, kernel=4), ErrorCode.FIELD, Position(0, index)


def _list_beyond_the_map() -> tuple[Package, ErrorCode, Position]:
    package = network(keep=16.0)
    index = walker(package)
    changed = at_index(package, index, cin=decode(package)[index].cin - 1)
    return changed, ErrorCode.BOUNDS, Position(0, index)


def _skipped_list_beyond_the_map() -> tuple[Package, ErrorCode, Position]:
    """Nobody looks at the list of a skipped convolution."""
    package = network(keep=-16.0)
    index = walker(package)
    changed = at_index(package, index, cin=decode(package)[index].cin - 1)
    return changed, ErrorCode.NONE, Position(1, last_halt(package))


def _exit_to_itself() -> tuple[Package, ErrorCode, Position]:
    """It could run for ever; the descriptor after it is the first it may go on at."""
    package = network()
    index = first_of(package, Op.EXIT_IF)
    return at_index(package, index, length=index), ErrorCode.FIELD, Position(0, index)


def _exit_to_the_next() -> tuple[Package, ErrorCode, Position]:
    package = network()
    index = first_of(package, Op.EXIT_IF)
    changed = at_index(package, index, length=index + 1, w_stride=0xFFFF_FFFF)
    return changed, ErrorCode.NONE, Position(1, last_halt(package))


def _exit_past_the_halt() -> tuple[Package, ErrorCode, Position]:
    """A taken exit without a HALT behind it runs past the end."""
    package = network()
    index = first_of(package, Op.EXIT_IF)
    end = package.n_descriptors - 1
    changed = at_index(package, index, length=end, w_stride=0xFFFF_FFFF)
    changed = at_index(changed, end, op=int(Op.LOAD), length=8)
    return changed, ErrorCode.PROGRAM_END, Position(0, end + 1)


def _no_end() -> tuple[Package, ErrorCode, Position]:
    package = network()
    end = last_halt(package) * DESCRIPTOR_BYTES
    index = first_of(package, Op.EXIT_IF)
    package = at_index(package, index, length=index + 1)
    cut = dataclasses.replace(package, descriptors=package.descriptors[:end])
    return cut, ErrorCode.PROGRAM_END, Position(0, cut.n_descriptors)


def _empty() -> tuple[Package, ErrorCode, Position]:
    package = dataclasses.replace(network(), descriptors=b"")
    return package, ErrorCode.PROGRAM_END, Position(0, 0)


def _by_table() -> tuple[Package, ErrorCode, Position]:
    package = by_table(network(keep=0.5))
    return package, ErrorCode.NONE, Position(1, last_halt(package))


def _table_that_nothing_loads() -> tuple[Package, ErrorCode, Position]:
    """The table of a run before does not count, and a GLOAD of weights is none."""
    package = at_index(by_table(network(keep=0.5)), 0, variant=0)
    return package, ErrorCode.BOUNDS, Position(0, first_of(package, Op.CONV))


def _skipped_without_a_table() -> tuple[Package, ErrorCode, Position]:
    """Nobody looks for the table of a skipped convolution."""
    package = network(keep=-16.0)
    code = enumerate(decode(package))
    index = next(i for i, d in code if d.op == Op.CONV and d.pred_en and not d.pred_empty)
    changed = at_index(package, index, length=TABLE_BYTES)
    return changed, ErrorCode.NONE, Position(1, last_halt(package))


def _foreign() -> tuple[Package, ErrorCode, Position]:
    package = network()
    changed = dataclasses.replace(package, config_hash=package.config_hash ^ 1)
    return changed, ErrorCode.CONFIG, Position(0, 0)


#: Whole programs: (what to run on two images, error, position at which every engine stops).
PROGRAMS = (
    _skipped_but_wrong,
    _list_beyond_the_map,
    _skipped_list_beyond_the_map,
    _exit_to_itself,
    _exit_to_the_next,
    _exit_past_the_halt,
    _no_end,
    _empty,
    _by_table,
    _table_that_nothing_loads,
    _skipped_without_a_table,
    _foreign,
)

"""Pass Plan -> Allocation: an address for every buffer, pool region, list and gate weight.

A buffer lives from the step that first writes it to the step that last touches it; an in-place
chain is one buffer.  Buffers whose lives overlap never overlap in memory.  Of a row of parts of
Concats each part has a life of its own: where one is not there yet, or no longer, others may be.
"""

import dataclasses
from collections.abc import Callable

from penstock.compiler.errors import CompileError
from penstock.compiler.plan.steps import (
    Buffer,
    ConvStep,
    DenseStep,
    ExitStep,
    GateStep,
    Plan,
    Step,
    reads,
    writes,
)
from penstock.compiler.plan.stream_gates import gate_bytes, stream_area
from penstock.program.base.arith import ceil_div, round_up
from penstock.program.core.config import HwConfig


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Something that needs `size` units of a memory from step `first` to step `last`.

    Blocks of one `owner` lie at fixed offsets from its address.
    """

    name: str
    size: int
    first: int
    last: int
    row: str = ""  # "": it is its own owner
    offset: int = 0

    @property
    def owner(self) -> str:
        """What gets an address."""
        return self.row or self.name

    def meets(self, other: "Block") -> bool:
        """Both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Addresses by name.  `blocks` are the feature buffers, for listings."""

    buffers: dict[str, int]
    pools: dict[str, int]
    lists: dict[str, int]
    gates: dict[str, int]  # GATE, DENSE, EXIT_IF step -> byte address of its part of gate memory
    gate_bytes: int
    blocks: tuple[Block, ...]
    peak: int


def plane_size(buffer: Buffer, config: HwConfig) -> tuple[int, int]:
    """(bytes from channel to channel, bytes from polyphase plane to plane or 0)."""
    if len(buffer.shape) == 1:
        return buffer.code_bytes, 0
    _, height, width = buffer.shape
    if not buffer.polyphase and not buffer.paired:
        return height * width, 0
    banks = config.fmem_banks
    pixels = height * width if buffer.paired else ceil_div(height, 2) * ceil_div(width, 2)
    phase = pixels + (banks // 2 - pixels) % banks
    return (2 if buffer.paired else 4) * phase, phase


def place(blocks: list[Block]) -> dict[str, int]:
    """Addresses of the owners such that blocks alive together do not overlap.

    Greedy best fit in several orders; the one that ends lowest wins (ties: the first order).
    """
    rows: dict[str, list[Block]] = {}
    for block in blocks:
        rows.setdefault(block.owner, []).append(block)
    whole = [_whole(owner, row) for owner, row in rows.items()]
    orders: list[Callable[[Block], tuple[int, ...]]] = [
        lambda block: (-block.size, block.first),
        lambda block: (block.first, -block.size),
        lambda block: (block.first - block.last, -block.size),
        lambda block: (-block.size * (block.last - block.first + 1), block.first),
    ]
    best: dict[str, int] = {}
    for key in orders:
        offsets = _greedy([rows[block.name] for block in sorted(whole, key=key)])
        if not best or extent(blocks, offsets) < extent(blocks, best):
            best = offsets
    return best


def _whole(owner: str, row: list[Block]) -> Block:
    """What holds all blocks of an owner, all the time."""
    size = max(block.offset + block.size for block in row)
    first, last = min(block.first for block in row), max(block.last for block in row)
    return Block(name=owner, size=size, first=first, last=last)


def extent(blocks: list[Block], offsets: dict[str, int]) -> int:
    """Units of memory used."""
    ends = (offsets[block.owner] + block.offset + block.size for block in blocks)
    return max(ends, default=0)


def _greedy(rows: list[list[Block]]) -> dict[str, int]:
    """Each owner into the smallest gap that holds its blocks, else above their neighbours."""
    offsets: dict[str, int] = {}
    placed: list[Block] = []
    for row in rows:
        # Addresses of the owner, from after the first number to before the second, that are taken.
        taken = sorted(
            (at - block.offset - block.size, at + other.size - block.offset)
            for other in placed
            for block in row
            if other.meets(block)
            for at in (offsets[other.owner] + other.offset,)
        )
        cursor, choice, choice_gap = 0, -1, 0
        for start, end in taken:
            gap = start - cursor
            if gap >= 0 and (choice < 0 or gap < choice_gap):
                choice, choice_gap = cursor, gap
            cursor = max(cursor, end)
        offsets[row[0].owner] = cursor if choice < 0 else choice
        placed += row
    return offsets


def _lives(plan: Plan, names: Callable[[Step], list[str]], size: dict[str, int]) -> list[Block]:
    """A block for each name that steps mention, alive from its first to its last mention."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, step in enumerate(plan.steps):
        for name in names(step):
            first.setdefault(name, index)
            last[name] = index
    return [Block(name=name, size=size[name], first=first[name], last=last[name]) for name in first]


def _step_pools(step: Step) -> list[str]:
    if isinstance(step, ConvStep):
        return [step.pool] if step.pool else []
    return [step.region] if isinstance(step, (GateStep, DenseStep)) else []


def _step_lists(step: Step) -> list[str]:
    if isinstance(step, ConvStep):
        return [name for name in (step.in_list, step.out_list) if name]
    return [step.list] if isinstance(step, GateStep) and step.list else []


def _cut(buffer: Buffer) -> list[tuple[str, int, int]]:
    """(name, first, end) of the parts of a buffer, or of it as a whole."""
    ends = [*(first for _, first in buffer.parts[1:]), buffer.shape[0]]
    parts = [(*part, end) for part, end in zip(buffer.parts, ends, strict=bool(buffer.parts))]
    return parts or [(buffer.name, 0, buffer.shape[0])]


def buffer_blocks(plan: Plan, config: HwConfig) -> list[Block]:
    """Lives and sizes of the feature buffers, of rows part by part.

    Addresses are whole rows of the memory's banks; parts that share one are blocks of one owner.
    """
    banks = config.fmem_banks
    blocks: dict[tuple[str, int], Block] = {}
    for index, step in enumerate(plan.steps):
        written = writes(step)
        for touched, start, stop in (*reads(step), *([written] if written else [])):
            buffer = plan.buffers[touched]
            stride, phase = plane_size(buffer, config)
            if buffer.paired:
                # As a whole, and what the last channel's other two planes would be.
                size = round_up((buffer.shape[0] + 2) * phase, banks)
                known = blocks.get((touched, 0))
                began = known.first if known else index
                blocks[touched, 0] = Block(name=touched, size=size, first=began, last=index)
                continue
            for name, first, end in _cut(buffer):
                if buffer.parts and (end <= start or stop <= first):
                    continue
                known = blocks.get((touched, first))
                if known is not None:
                    blocks[touched, first] = dataclasses.replace(known, last=index)
                else:
                    offset = first * stride // banks * banks
                    blocks[touched, first] = Block(
                        name=name,
                        size=round_up(end * stride - offset, banks),
                        first=index,
                        last=index,
                        row=touched if buffer.parts else "",
                        offset=offset,
                    )
    return list(blocks.values())


def feature_bytes(plan: Plan, config: HwConfig) -> int:
    """Bytes of feature memory that the plan's buffers take."""
    blocks = buffer_blocks(plan, config)
    return extent(blocks, place(blocks))


def fits(plan: Plan, config: HwConfig) -> bool:
    """Whether the feature memory holds the plan's buffers."""
    return feature_bytes(plan, config) <= config.fmem_bytes


def _alive(blocks: list[Block], step: int) -> list[Block]:
    alive = [block for block in blocks if block.first <= step <= block.last]
    return sorted(alive, key=lambda block: -block.size)


def _require_fit(plan: Plan, blocks: list[Block], used: int, config: HwConfig) -> None:
    """CompileError that says by how much, where, and which tensors are alive there."""
    if used <= config.fmem_bytes:
        return
    sums = [sum(b.size for b in _alive(blocks, step)) for step in range(len(plan.steps))]
    worst = max(range(len(sums)), key=lambda step: sums[step])
    # Where the live tensors alone would fit, the rest is lost between them.
    needed = sums[worst] if sums[worst] > config.fmem_bytes else used
    tensors = ", ".join(f"{b.name} {b.size}" for b in _alive(blocks, worst))
    raise CompileError(
        f"the network needs {needed} bytes of feature memory, {needed - config.fmem_bytes} more "
        f"than the {config.fmem_bytes} of '{config.name}'; alive there, in bytes: {tensors}",
        node=plan.steps[worst].name,
        hint="choose a larger configuration, or smaller or fewer maps",
    )


def _limit(blocks: list[Block], used: int, limit: int, plan: Plan, what: str) -> None:
    """CompileError if a memory other than the feature memory is too small."""
    if used <= limit:
        return
    load = [sum(b.size for b in _alive(blocks, step)) for step in range(len(plan.steps))]
    worst = max(range(len(load)), key=lambda step: load[step])
    raise CompileError(f"{used} {what} needed, there are {limit}", node=plan.steps[worst].name)


def _gate_addresses(plan: Plan, config: HwConfig) -> tuple[dict[str, int], int]:
    """Resident weights and tables one after the other, streamed ones all at 0 before them."""
    addresses: dict[str, int] = {}
    end = stream_area(config) if plan.streamed else 0
    for step in plan.steps:
        if isinstance(step, (GateStep, DenseStep, ExitStep)) and step.name not in addresses:
            addresses[step.name] = 0 if step.name in plan.streamed else end
            end += 0 if step.name in plan.streamed else gate_bytes(step)
    assert end <= config.gate_mem_bytes
    return addresses, end


def allocate(plan: Plan, config: HwConfig) -> Allocation:
    """Addresses in every memory of `config`.

    Raises:
        CompileError: a memory is too small; names the node and the numbers.
    """
    blocks = buffer_blocks(plan, config)
    buffers = place(blocks)
    _require_fit(plan, blocks, extent(blocks, buffers), config)
    pool_blocks = _lives(plan, _step_pools, plan.pools)
    pools = place(pool_blocks)
    used = extent(pool_blocks, pools)
    _limit(pool_blocks, used, config.pool_depth, plan, "pooled sums")
    ones = dict.fromkeys(plan.scores, 1)
    list_blocks = _lives(plan, _step_lists, ones)
    lists = place(list_blocks)
    used = extent(list_blocks, lists)
    _limit(list_blocks, used, config.n_lists, plan, "survivor lists")
    scores = max(plan.n_scores, plan.score_end)
    if scores > config.score_depth:
        raise CompileError(
            f"{scores} gate scores, the score memory of '{config.name}' holds {config.score_depth}",
            node=next(s.name for s in reversed(plan.steps) if isinstance(s, GateStep)),
        )
    gates, gate_bytes = _gate_addresses(plan, config)
    return Allocation(
        buffers=buffers,
        pools=pools,
        lists=lists,
        gates=gates,
        gate_bytes=gate_bytes,
        blocks=tuple(blocks),
        peak=extent(blocks, buffers),
    )

"""Pass Plan -> Plan: convolutions that one descriptor cannot make become several.

*Groups*: a group is a CONV of its channels' addresses.  Where groups are smaller than the array
several make one CONV, whose weights between different groups are 0, if that takes fewer cycles.
A depthwise convolution is one descriptor as it is.  Behind a channel shuffle the channels of a CONV
must lie at equal distances, which is its source stride.

*Expansions*: where the maps between a convolution and the depthwise one behind it do not fit the
feature memory, both are made in parts of some channels, one part's maps after the other's in the
same place.  Preserves every value.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.array_shape import best_split, passes, tiles
from penstock.compiler.estimate.timing import Timing
from penstock.compiler.ir import Conv, IntArray, Requantize
from penstock.compiler.plan.allocate import feature_bytes
from penstock.compiler.plan.pairs import is_pair
from penstock.compiler.plan.steps import Buffer, ConvStep, CopyStep, Plan, Step
from penstock.program.base.arith import ceil_div
from penstock.program.core.config import HwConfig

#: Cycles of a descriptor beside its tiles (docs/architecture.md, "Timeline of a convolution").
DESCRIPTOR_CYCLES = Timing().drain + Timing().tile


def split_groups(plan: Plan, config: HwConfig) -> Plan:
    """The plan with a step a group, or a few groups, of each grouped convolution."""
    steps: list[Step] = []
    for step in plan.steps:
        grouped = isinstance(step, ConvStep) and step.conv.groups > 1 and not step.conv.depthwise
        if isinstance(step, ConvStep) and grouped and not in_turn(step, plan):
            steps += _groups(step, plan, config)
        else:
            steps.append(step)
    return dataclasses.replace(plan, steps=tuple(steps))


def in_turn(step: ConvStep, plan: Plan) -> bool:
    """Whether a step adds the two halves of a buffer in which they lie in turn."""
    return plan.buffers[step.src].paired and is_pair(step.conv)


def split_expansions(plan: Plan, config: HwConfig, room: int | None = None) -> Plan:
    """The plan with expansions in as few parts as make it fit; as it is if none do.

    `room`: bytes of feature memory it may take; None: all.
    """
    room = config.fmem_bytes if room is None else room
    if feature_bytes(plan, config) <= room:
        return plan
    pairs = _expansions(plan)
    while pairs:
        # The largest map goes into the most parts, each of whole groups of the array's rows.
        worst = max(pairs, key=lambda pair: pair.part_bytes(plan, config))
        if worst.parts >= worst.most(config):
            return plan
        worst.parts += 1
        smaller = _apply(plan, pairs, config)
        if feature_bytes(smaller, config) <= room:
            return smaller
    return plan


def _slice(conv: Conv, first: int, end: int, **changed: object) -> Conv:
    """The convolution of the outputs first .. end - 1; `changed` are further fields."""
    span = slice(first, end)
    factors = conv.requantize
    fields = {
        "name": f"{conv.name}[{first}:{end}]",
        "weight": conv.weight[span],
        "bias": conv.bias[span],
        "requantize": Requantize(multiplier=factors.multiplier[span], shift=factors.shift[span]),
    }
    return dataclasses.replace(conv, **(fields | changed))  # type: ignore[arg-type]


# -- groups ----------------------------------------------------------------------------------------


def bundle_cycles(conv: Conv, bundle: int, pixels: int, config: HwConfig) -> int:
    """Cycles of a grouped convolution with `bundle` groups a descriptor (an estimate)."""
    outputs, inputs, kernel, _ = conv.weight.shape
    rows = bundle * outputs // conv.groups
    split = best_split(pixels, config)
    count = rows // config.p_oc * tiles(pixels, 0, config)
    count += sum(
        tiles(pixels, mode, config) for mode, _ in passes(rows % config.p_oc, split, config)
    )
    tile = max(bundle * inputs * kernel * kernel, Timing().tile)
    return conv.groups // bundle * (count * tile + DESCRIPTOR_CYCLES)


def _bundle(conv: Conv, pixels: int, config: HwConfig) -> int:
    """Groups a descriptor.  MACs are counted as a share of its pairs, which must be whole."""
    _, inputs, kernel, _ = conv.weight.shape
    depth = config.row_taps(kernel, w_rows=False)
    possible = [
        bundle
        for bundle in range(1, conv.groups + 1)
        if conv.groups % bundle == 0
        and kernel * kernel * pixels % bundle == 0
        and (bundle == 1 or bundle * inputs * depth <= config.wbuf_bytes)
        and all(_evenly(channels) for channels in _channels(conv, bundle))
    ]
    if not possible:
        raise CompileError(
            "the channels of a group do not lie at equal distances after the Gather before it",
            node=conv.name,
            op="Conv",
            hint="shuffle channels as [groups, channels] -> [channels, groups]",
        )
    return min(possible, key=lambda bundle: bundle_cycles(conv, bundle, pixels, config))


def _channels(conv: Conv, bundle: int) -> IntArray:
    """[descriptors, inputs]: the channels of the map that each reads."""
    inputs = conv.weight.shape[1] * conv.groups
    return np.array(conv.order or range(inputs)).reshape(conv.groups // bundle, -1)


def _evenly(channels: IntArray) -> bool:
    """Whether channels, sorted, lie at equal distances."""
    return len(np.unique(np.diff(np.sort(channels)))) < 2


def _block_diagonal(weight: IntArray, bundle: int) -> IntArray:
    """[bundle * o, bundle * i, K, K]: the groups' weights, 0 between them."""
    outputs, inputs = weight.shape[0] // bundle, weight.shape[1]
    full = np.zeros((len(weight), bundle * inputs, *weight.shape[2:]), np.int8)
    for index in range(bundle):
        rows = slice(index * outputs, (index + 1) * outputs)
        full[rows, index * inputs : (index + 1) * inputs] = weight[rows]
    return full


def _groups(step: ConvStep, plan: Plan, config: HwConfig) -> Iterator[ConvStep]:
    conv = step.conv
    _, height, width = plan.graph.values[conv.output].shape
    bundle = _bundle(conv, height * width, config)
    parts = conv.groups // bundle
    outputs = len(conv.bias) // parts
    for index, channels in enumerate(_channels(conv, bundle)):
        first = index * outputs
        part = _slice(conv, first, first + outputs, groups=1, order=())
        sources = np.sort(channels)
        weight = _block_diagonal(part.weight, bundle)[:, np.argsort(channels)]
        part = dataclasses.replace(part, weight=weight)
        yield dataclasses.replace(
            step,
            name=part.name,
            conv=part,
            src_first=step.src_first + int(sources[0]),
            src_step=int(sources[1] - sources[0]) if len(sources) > 1 else 1,
            dst_first=step.dst_first + first,
            first=first,
            bundle=bundle,
        )


# -- expansions ------------------------------------------------------------------------------------


@dataclasses.dataclass(kw_only=True, eq=False)
class _Expansion:
    """Steps that make a map, perhaps copy it, and read it channel by channel."""

    make: ConvStep
    copy: CopyStep | None
    read: ConvStep
    parts: int = 1

    def spans(self, config: HwConfig) -> list[tuple[int, int]]:
        """(first, end) channels of each part: whole groups of rows, all but the last alike."""
        channels, rows = len(self.make.conv.bias), config.p_oc
        groups = ceil_div(channels, rows)
        size = ceil_div(groups, self.parts) * rows
        return [(first, min(first + size, channels)) for first in range(0, channels, size)]

    def most(self, config: HwConfig) -> int:
        """Parts of one group each."""
        return ceil_div(len(self.make.conv.bias), config.p_oc)

    def part_bytes(self, plan: Plan, config: HwConfig) -> int:
        """How much of the map is in feature memory at a time."""
        first, end = self.spans(config)[0]
        _, height, width = plan.buffers[self.make.dst].shape
        return (end - first) * height * width * (2 if self.copy else 1)


def _expansions(plan: Plan) -> list[_Expansion]:
    """Each map that one convolution makes for one depthwise convolution alone, next to it."""
    found = []
    for index, step in enumerate(plan.steps):
        if not isinstance(step, ConvStep) or not step.conv.depthwise:
            continue
        before = plan.steps[index - 1]
        copy = before if isinstance(before, CopyStep) and before.dst == step.src else None
        make = plan.steps[index - (2 if copy else 1)]
        source = copy.src if copy else step.src
        alone = isinstance(make, ConvStep) and make.dst == source and _alone(plan, source, copy)
        if isinstance(make, ConvStep) and alone and _plain(make) and _listless(step):
            found.append(_Expansion(make=make, copy=copy, read=step))
    return found


def _alone(plan: Plan, buffer: str, copy: CopyStep | None) -> bool:
    """Made by one step, read by one step, and its copy too; no part of a Concat."""
    if plan.buffers[buffer].parts:
        return False
    names = {buffer, copy.dst} if copy else {buffer}
    uses = [
        step
        for step in plan.steps
        if names & {getattr(step, "src", None), getattr(step, "dst", None)}
    ]
    return len(uses) == (3 if copy else 2)


def _listless(step: ConvStep) -> bool:
    return step.out_list is None


def _plain(step: ConvStep) -> bool:
    """One descriptor's convolution without a list of outputs, sums or a residual."""
    grouped = step.conv.groups > 1 or step.bundle > 1
    return not grouped and _listless(step) and step.pool is None and step.conv.residual is None


def _apply(plan: Plan, pairs: list[_Expansion], config: HwConfig) -> Plan:
    """The plan with every pair in its parts."""
    split = [pair for pair in pairs if pair.parts > 1]
    at = {id(pair.make): pair for pair in split}
    gone = {id(step) for pair in split for step in (pair.copy, pair.read) if step is not None}
    buffers = dict(plan.buffers)
    steps: list[Step] = []
    for step in plan.steps:
        if id(step) in at:
            steps += _part_steps(at[id(step)], buffers, config)
        elif id(step) not in gone:
            steps.append(step)
    used = {name for s in steps for name in (getattr(s, "src", None), getattr(s, "dst", None))}
    kept = {name: buffer for name, buffer in buffers.items() if name in used}
    return dataclasses.replace(plan, steps=tuple(steps), buffers=kept)


def _part_steps(
    pair: _Expansion, buffers: dict[str, Buffer], config: HwConfig
) -> Iterator[ConvStep | CopyStep]:
    make, copy, read = pair.make, pair.copy, pair.read
    for first, end in pair.spans(config):
        suffix = f"[{first}:{end}]"

        def part(name: str, suffix: str = suffix, size: int = end - first) -> str:
            buffer = buffers[name]
            shape = (size, *buffer.shape[1:])
            buffers[name + suffix] = dataclasses.replace(buffer, name=name + suffix, shape=shape)
            return name + suffix

        conv = _slice(make.conv, first, end)
        source = part(make.dst)
        yield dataclasses.replace(make, name=conv.name, conv=conv, dst=source, first=first)
        if copy is not None:
            value = dataclasses.replace(
                copy.value, name=copy.value.name + suffix, shape=buffers[source].shape
            )
            name = copy.name + suffix
            source, before = part(copy.dst), source
            yield dataclasses.replace(copy, name=name, value=value, src=before, dst=source)
        conv = _slice(read.conv, first, end, groups=end - first)
        yield dataclasses.replace(
            read,
            name=conv.name,
            conv=conv,
            src=source,
            dst_first=read.dst_first + first,
            first=first,
        )

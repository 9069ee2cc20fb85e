"""What a program file's descriptors must be for its listing, its cost and its reports.

The core checks far more, each descriptor when its turn comes (docs/program.md, "Checks").
"""

from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.paths import main_halt
from penstock.program.base.errors import PenstockError
from penstock.program.core.checks import Limits, violation, without_table
from penstock.program.core.config import ALL_CHANNELS, HwConfig
from penstock.program.core.descriptor import Descriptor, GateKind, Op
from penstock.program.network.meta import ExitMeta
from penstock.program.network.package import Package, PackageError


def check_program(package: Package, source: str) -> None:
    """PackageError, naming file and descriptor, unless each one is known and in bounds."""
    scores = sum(gate["count"] for gate in package.meta["gates"])
    made = scores  # those that decide nothing may lie behind the record's
    lists: set[int] = {ALL_CHANNELS}
    descriptors = decode(package)
    for index, descriptor in enumerate(descriptors):
        reason = _reason(descriptor, scores, made, lists)
        if reason:
            raise PackageError(
                f"{source}: descriptor {index} {reason}", hint="compile the network again"
            )
        if descriptor.op == Op.GATE:
            lists.add(descriptor.out_list)
            made = max(made, descriptor.dst + descriptor.cout)
    if (bare := without_table(descriptors)) is not None:
        raise PackageError(
            f"{source}: descriptor {bare} has a table that no GLOAD before it loads",
            hint="compile the network again",
        )
    last = descriptors[-1] if descriptors else None
    if last is None or last.op != Op.HALT or last.length >= len(descriptors):
        raise PackageError(f"{source}: it does not end with HALT", hint="compile the network again")
    if reason := _bad_exits(descriptors, package.meta["exits"]):
        raise PackageError(f"{source}: {reason}", hint="compile the network again")


def check_rules(package: Package, config: HwConfig | None = None) -> None:
    """PenstockError if the core would refuse a descriptor that the compiler just made.

    `config`: of the core, where it is none of the named ones.
    """
    meta = package.meta
    limits = Limits(
        config=config or package.config,
        n_descriptors=package.n_descriptors,
        input_stride=meta["input"]["bytes"] * meta["images"],
        output_stride=meta["record_bytes"],
        weight_bytes=len(package.weights),
    )
    for index, descriptor in enumerate(decode(package)):
        if broken := violation(descriptor, limits, index):
            name = meta["layers"][index]["name"]
            raise PenstockError(
                f"internal error: the core would refuse descriptor {index} of the program "
                f"({broken[1]})",
                where=f"layer '{name}'",
                hint="nothing was written; please report this with the ONNX file",
            )


def _bad_exits(descriptors: list[Descriptor], exits: list[ExitMeta]) -> str:
    """Why the exits are not those of the metadata, each with a HALT of its own; "" if they are."""
    last = main_halt(descriptors)
    found = [index for index, d in enumerate(descriptors) if d.op == Op.EXIT_IF]
    if found != [leave["descriptor"] for leave in exits] or any(index > last for index in found):
        return f"exits at descriptors {found}, its metadata has others"
    halts = [last]
    for index in found:
        target = descriptors[index].length
        if not last < target < len(descriptors):
            return f"the exit at descriptor {index} goes on at {target}"
        halts.append(target + main_halt(descriptors[target:]))
    if halts[1:] != [leave["halt"] for leave in exits] or len(set(halts)) < len(halts):
        return f"exits end at descriptors {halts[1:]}, its metadata has others"
    loops = {descriptors[halt].length for halt in halts}
    return "" if len(loops) == 1 else "its exits go on with different images"


def _reason(d: Descriptor, scores: int, made: int, lists: set[int]) -> str:
    """Why a descriptor is illegal; "" if it is not: `scores` are in a record, of `made` so far."""
    if d.op not in set(Op):
        return f"has the unknown operation {d.op}"
    if d.pred_en and d.pred_slot >= scores:
        return f"is skipped by score {d.pred_slot} of {scores}"
    if d.op == Op.CONV and not {d.in_list, d.out_list} <= lists:
        return "walks a list that no GATE before it makes"
    if d.op == Op.CONV and d.fold_en and d.fold_slot + (d.cout if d.fold_channel else 1) > made:
        return f"folds scores from {d.fold_slot}, there are {made}"
    shared = d.op == Op.GATE and d.score_kind == GateKind.SIGMOID and d.dst >= scores
    if shared and d.out_list == ALL_CHANNELS:
        return ""
    if d.op == Op.GATE and not d.src <= d.dst + d.list_from <= d.dst + d.cout <= scores:
        return f"writes scores {d.dst} to {d.dst + d.cout}, there are {scores}"
    return ""

"""Early exits of a program: which one a record took, and thresholds that change without compiling.

An EXIT_IF adds up entries of a table in which 2^15 stands for exp(0) (docs/numerics.md); the sum is
2^15 divided by the largest softmax.  So "at least t" is "at most 2^15 / t", an integer in the
descriptor.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.base.arith import round_up
from penstock.program.base.errors import PenstockError
from penstock.program.core.config import BEAT_BYTES
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, FIELD_BY_NAME, Descriptor
from penstock.program.network.metadata import result_stride
from penstock.program.network.outputs import real_values
from penstock.program.network.package import Package

Array = npt.NDArray[Any]

#: exp(0) in the table.
EXIT_ONE = 1 << 15

#: The largest bound of a descriptor: every sum is below it.
EXIT_ALWAYS = (1 << FIELD_BY_NAME["w_stride"].width) - 1


def exit_bound(threshold: float) -> int:
    """The largest sum that exits: floor(2^15 / t), exactly; above 1 nothing exits, at 0 all do.

    Raises:
        PenstockError: negative, or not a number.
    """
    if not math.isfinite(threshold) or threshold < 0:
        raise PenstockError(
            f"exit threshold {threshold} is not a number >= 0",
            hint="0 always exits, 0.9 where the softmax is at least 0.9, above 1 never",
        )
    if threshold == 0:
        return EXIT_ALWAYS
    return min(math.floor(EXIT_ONE / Fraction(threshold)), EXIT_ALWAYS)


def with_thresholds(package: Package, thresholds: Sequence[float]) -> Package:
    """The same program with other thresholds, one for each early exit in order.

    Raises:
        PenstockError: another number of thresholds, or one that is none.
    """
    exits = package.meta["exits"]
    if len(thresholds) != len(exits):
        raise PenstockError(
            f"{len(thresholds)} exit thresholds, the network has {len(exits)} early exits"
        )
    code = bytearray(package.descriptors)
    changed = []
    for leave, threshold in zip(exits, thresholds, strict=True):
        start = leave["descriptor"] * DESCRIPTOR_BYTES
        d = Descriptor.decode(bytes(code[start : start + DESCRIPTOR_BYTES]))
        bound = Descriptor(values=d.values | {"w_stride": exit_bound(threshold)})
        code[start : start + DESCRIPTOR_BYTES] = bound.encode()
        changed.append(leave | {"threshold": float(threshold)})
    meta = package.meta | {"exits": changed}
    return dataclasses.replace(package, descriptors=bytes(code), meta=meta)


def exits_taken(records: npt.NDArray[np.uint8], meta: Mapping[str, Any]) -> Array:
    """int64 (N,): the early exit at which each record ends, in order; their number: at none."""
    at = 4 * COUNTER_NAMES.index("exit")
    halts = np.ascontiguousarray(records[:, at : at + 4]).view("<u4")[:, 0]
    taken = np.full(len(records), len(meta["exits"]))
    for index, leave in enumerate(meta["exits"]):
        taken[halts == leave["halt"]] = index
    return taken


def clear_unreached(records: npt.NDArray[np.uint8], meta: Mapping[str, Any]) -> None:
    """Zero, in place, the scores that a record's exit came before.

    The core does not write them: they stay what the host left there, and it leaves zeros.
    """
    taken = exits_taken(records, meta) if meta["exits"] else ()
    scores = sum(gate["count"] for gate in meta["gates"])
    end = COUNTER_BYTES + round_up(scores, BEAT_BYTES)  # what a STORE of all would write
    for index, leave in enumerate(meta["exits"]):
        records[taken == index, COUNTER_BYTES + leave["scores"] : end] = 0


def decode_logits(
    records: npt.NDArray[np.uint8], meta: Mapping[str, Any]
) -> npt.NDArray[np.float32]:
    """float32 (N, classes): the logits of the exit that each record took, at that exit's scale.

    Records of several images have as many rows each; the last record's may be of padding.
    """
    result, images, stride = meta["output"], meta["images"], result_stride(meta)
    starts = [result["offset"] + image * stride for image in range(images)]
    codes = np.stack([records[:, at : at + result["classes"]] for at in starts], axis=1)
    codes = codes.reshape(-1, result["classes"])
    logits = real_values(codes, result)
    if meta["exits"]:
        taken = exits_taken(records, meta)
        for index, leave in enumerate(meta["exits"]):
            logits[taken == index] = real_values(codes[taken == index], leave)
    return logits

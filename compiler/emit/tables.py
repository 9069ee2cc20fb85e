"""GLOAD of activations: the core has one table at a time, and a convolution that needs another one
has it loaded before."""

import numpy as np

from penstock.compiler.emit.writer import LoadedTable, Writer
from penstock.compiler.ir import IntArray
from penstock.compiler.plan.steps import ConvStep
from penstock.program.core.config import TABLE_BYTES
from penstock.program.core.descriptor import GLOAD_TABLE, Descriptor, Op


def load_table(out: Writer, step: ConvStep, skip: dict[str, int]) -> int:
    """The bytes of a convolution's table, 0 without one; a GLOAD of it unless it is loaded.

    `skip`: the fields of the convolution that say when it is skipped.  What is skipped needs no
    table, so the GLOAD is skipped with it; it counts as loaded then for what the same gate skips.
    """
    entries = step.conv.table
    if entries is None:
        return 0
    names = ("pred_en", "pred_slot", "pred_not")
    runs = {name: skip[name] for name in names} if skip["pred_en"] and not step.pred_empty else {}
    image = _bytes(entries)
    wanted = LoadedTable(image=image, where=runs)
    known = out.table
    if known is not None and known.image == image and known.where in ({}, runs):
        return TABLE_BYTES
    if image not in out.tables:
        out.tables[image] = out.append(np.frombuffer(image, np.uint8))
    load = Descriptor.make(
        Op.GLOAD, variant=GLOAD_TABLE, w_addr=out.tables[image], length=TABLE_BYTES, **runs
    )
    out.emit(load, f"{step.name} table")
    out.table = wanted
    return TABLE_BYTES


def _bytes(entries: IntArray) -> bytes:
    return (entries & 0xFF).astype(np.uint8).tobytes()

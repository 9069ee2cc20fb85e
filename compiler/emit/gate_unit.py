"""GATE, DENSE and EXIT_IF: what the gate unit runs, and what it has in its memory."""

import numpy as np

from penstock.compiler.emit.writer import Writer
from penstock.compiler.numerics import exp_table
from penstock.compiler.plan.limits import check_dense
from penstock.compiler.plan.steps import (
    DenseStep,
    ExitStep,
    GateStep,
    Resident,
    layers_of,
    outputs_of,
)
from penstock.compiler.plan.weights import Bytes, pack_dense
from penstock.program.core.descriptor import SIGMOID, STOPS, Descriptor, GateKind, Op
from penstock.program.network.exits import exit_bound
from penstock.program.network.meta import ExitMeta


def gate_image(step: Resident) -> Bytes:
    """What a step has in gate memory."""
    if isinstance(step, ExitStep):
        return exp_table(step.logits.scale).astype("<u2").view(np.uint8)
    pool = step.pool
    return pack_dense(layers_of(step), pool.multiplier, pool.shift, outputs_of(step))


def _pool_fields(out: Writer, step: GateStep | DenseStep) -> dict[str, int]:
    """Fields that GATE and DENSE share."""
    first, end = outputs_of(step)
    check_dense(step, out.config)
    return {
        "src_signed": out.plan.graph.values[step.pool.output].signed,
        "cin": layers_of(step)[0].weight.shape[1],
        "cout": end - first,
        "pool_base": out.allocation.pools[step.region] + step.region_first,
        "w_addr": out.allocation.gates[step.name],
    }


def _list_fields(out: Writer, step: GateStep) -> dict[str, int]:
    """Where a list begins among the outputs; a later part continues it."""
    if step.list is None:
        return {}
    first, _ = outputs_of(step)
    before = step.list_from - first
    return {"list_from": max(before, 0), "src": max(-before, 0)}


def emit_gate(out: Writer, step: GateStep) -> None:
    """A GATE: one layer's scores, or several's that read the same sums."""
    descriptor = Descriptor.make(
        Op.GATE,
        **_pool_fields(out, step),
        gate_kind=step.gates[0].binary,
        out_list=out.list(step.list),
        **_list_fields(out, step),
        variant=_gate_variant(step),
        dst=out.plan.scores[step.gates[0].output] + outputs_of(step)[0],
    )
    counted = {"kind": step.kind, "macs_per_pair": 1}
    out.emit(descriptor, step.name, input=step.pool.input, **counted)


def _gate_variant(step: GateStep) -> int:
    if step.gates[0].kind == GateKind.SIGMOID:
        return SIGMOID
    return STOPS if step.closes else 0


def emit_dense(out: Writer, step: DenseStep) -> None:
    """A DENSE: a layer's bytes in feature memory."""
    descriptor = Descriptor.make(
        Op.DENSE,
        **_pool_fields(out, step),
        dst=out.address(step.dst, outputs_of(step)[0]),
        clamp_lo=step.dense.clamp[0],
        clamp_hi=step.dense.clamp[1],
    )
    names = {"input": step.pool.input, "output": step.dense.output}
    out.emit(descriptor, step.name, **names, kind=step.kind, macs_per_pair=1)


def emit_exit(out: Writer, step: ExitStep) -> None:
    """EXIT_IF; `_end` fills in where it goes on."""
    leave: ExitMeta = {
        "name": step.logits.name,
        "descriptor": len(out.descriptors),
        "halt": 0,  # `_end` knows
        "threshold": step.threshold,
        "signed": step.logits.signed,
        "scale": step.logits.scale,
        "scores": step.scores,
    }
    if step.logits.zero_point:
        leave["zero_point"] = step.logits.zero_point
    out.exits.append(leave)
    descriptor = Descriptor.make(
        Op.EXIT_IF,
        src_signed=step.logits.signed,
        cin=step.logits.shape[0],
        src=out.address(step.src),
        src_stride=1,
        w_addr=out.allocation.gates[step.name],
        w_stride=exit_bound(step.threshold),
    )
    out.emit(descriptor, step.name, input=step.logits.name)

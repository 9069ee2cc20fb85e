"""Pass Plan -> Plan: gates that do not all fit the gate memory are loaded every image.

Where the weights of all gates and dense layers fit, they are resident and nothing changes.  Else
half of the memory is for those that are not: each of them is loaded before it runs, in parts of
some outputs if it is larger than that.  A part of a gate appends to the list of the part before.
Preserves every value.
"""

import dataclasses
from collections.abc import Iterator

from penstock.compiler.errors import CompileError
from penstock.compiler.plan.steps import (
    DenseStep,
    ExitStep,
    GateStep,
    Plan,
    Resident,
    Step,
    layers_of,
    outputs_of,
)
from penstock.compiler.plan.weights import dense_bytes
from penstock.program.base.arith import ceil_div, round_up
from penstock.program.core.config import EXIT_TABLE_BYTES, GATE_WORD_BYTES, HwConfig

DenseLike = GateStep | DenseStep


def gate_bytes(step: Resident) -> int:
    """Bytes of a step's weights, or of its table, in gate memory."""
    if isinstance(step, ExitStep):
        return EXIT_TABLE_BYTES
    first, end = outputs_of(step)
    return dense_bytes(layers_of(step)[0].weight.shape[1], end - first)


def stream_area(config: HwConfig) -> int:
    """Bytes of the gate memory, from 0 on, that streamed weights take turns in."""
    return round_up(config.gate_mem_bytes // 2, GATE_WORD_BYTES)


def _parts(step: DenseLike, room: int, config: HwConfig) -> Iterator[DenseLike]:
    """The step, or parts of it with at most `room` bytes each."""
    if gate_bytes(step) <= room:
        yield step
        return
    inputs = layers_of(step)[0].weight.shape[1]
    row = dense_bytes(inputs, 1) - GATE_WORD_BYTES
    count = (room - GATE_WORD_BYTES) // row
    least = step.list_from + 1 if isinstance(step, GateStep) and step.list else 1
    if count < least:
        raise CompileError(
            f"{least} outputs of {inputs} inputs take {dense_bytes(inputs, least)} bytes, the gate "
            f"memory of '{config.name}' has {room} for weights that are loaded every image",
            node=step.name,
            hint="choose a larger configuration, or fewer channels",
        )
    _, end = outputs_of(step)
    parts = ceil_div(end, count)
    size = max(ceil_div(end, parts), least)
    for first in range(0, end, size):
        part = (first, min(first + size, end))
        yield dataclasses.replace(step, name=f"{step.name}[{part[0]}:{part[1]}]", part=part)


def stream_gates(plan: Plan, config: HwConfig) -> Plan:
    """The plan with parts, and with the names of what is streamed.

    Raises:
        CompileError: not even one output fits.
    """
    dense = [step for step in plan.steps if isinstance(step, (GateStep, DenseStep))]
    exits = [step for step in plan.steps if isinstance(step, ExitStep)]
    tables = sum(map(gate_bytes, exits))
    if sum(map(gate_bytes, dense)) + tables <= config.gate_mem_bytes:
        return plan
    room = stream_area(config)
    left, resident = config.gate_mem_bytes - room - tables, set()
    if left < 0:
        raise CompileError(
            f"the tables of {len(exits)} exits take {tables} bytes, beside weights that are loaded "
            f"every image the gate memory of '{config.name}' has {config.gate_mem_bytes - room}",
            node=exits[-1].name,
            hint="choose a larger configuration, or fewer exits",
        )
    for step in sorted(dense, key=gate_bytes):  # the smallest first: most loads are saved
        if gate_bytes(step) <= left:
            left -= gate_bytes(step)
            resident.add(step.name)
    steps: list[Step] = []
    streamed: set[str] = set()
    for item in plan.steps:
        if isinstance(item, (GateStep, DenseStep)) and item.name not in resident:
            parts = list(_parts(item, room, config))
            steps += parts
            streamed |= {part.name for part in parts}
        else:
            steps.append(item)
    return dataclasses.replace(plan, steps=tuple(steps), streamed=frozenset(streamed))

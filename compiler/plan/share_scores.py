"""Pass Plan -> Plan: where the score memory is too small, scores that decide nothing share it.

A sigmoid's scores scale one map (squeeze-and-excite): once that is made nobody reads them.  They
then lie behind those of the gates that decide, which are in every record, and are in none.  Legal
always: a GATE waits for what still reads the scores it writes over (`ps_interlock`).  Preserves
every value.
"""

import dataclasses

from penstock.compiler.ir import Gate
from penstock.compiler.plan.allocate import Block, extent, place
from penstock.compiler.plan.steps import ConvStep, ExitStep, GateStep, Plan, Step, StoreStep
from penstock.program.core.config import HwConfig


def share_scores(plan: Plan, config: HwConfig) -> Plan:
    """The plan itself where its scores fit `config`, else one in which sigmoids' share memory."""
    if plan.n_scores <= config.score_depth:
        return plan
    lives = _lives(plan)
    shared = {gate.output for block in lives.values() for gate in block[0]}
    kept = [name for name in plan.scores if name not in shared]
    scores: dict[str, int] = {}
    for name in kept:
        scores[name] = sum(plan.graph.values[each].shape[0] for each in scores)
    begin = sum(plan.graph.values[name].shape[0] for name in kept)
    blocks = [block for _, block in lives.values()]
    places = place(blocks)
    for name, (gates, _) in lives.items():
        at = begin + places[name]
        for gate in gates:
            scores[gate.output] = at
            at += len(gate.bias)
    return dataclasses.replace(
        plan,
        scores=scores,
        shared_scores=frozenset(shared),
        score_end=begin + extent(blocks, places),
        steps=tuple(_stored(plan, shared, begin)),
    )


def _lives(plan: Plan) -> dict[str, tuple[tuple[Gate, ...], Block]]:
    """The sigmoids of each GATE, by the first one's name, and from when to when they are read."""
    found: dict[str, tuple[tuple[Gate, ...], Block]] = {}
    for index, step in enumerate(plan.steps):
        if isinstance(step, GateStep) and not any(gate.decides for gate in step.gates):
            name = step.gates[0].output
            size = sum(len(gate.bias) for gate in step.gates)
            block = Block(name=name, size=size, first=index, last=index)
            found.setdefault(name, (step.gates, block))
    homes = {gate.output: name for name, (gates, _) in found.items() for gate in gates}
    for index, step in enumerate(plan.steps):
        if isinstance(step, GateStep | ConvStep):
            for read in _touched(step):
                if read in homes:
                    gates, block = found[homes[read]]
                    found[homes[read]] = gates, dataclasses.replace(block, last=index)
    return found


def _touched(step: GateStep | ConvStep) -> tuple[str, ...]:
    """Gates whose scores a step writes or folds."""
    if isinstance(step, GateStep):
        return tuple(gate.output for gate in step.gates)
    return (step.conv.fold.scores,) if step.conv.fold else ()


def _stored(plan: Plan, shared: set[str], count: int) -> list[Step]:
    """The steps, with a STORE of `count` scores, and exits that know of those alone."""
    made: set[str] = set()
    steps: list[Step] = []
    for step in plan.steps:
        if isinstance(step, GateStep):
            made.update(gate.output for gate in step.gates)
        if isinstance(step, StoreStep) and step.src is None:
            if count:
                steps.append(dataclasses.replace(step, bytes=count))
            continue
        if isinstance(step, ExitStep):
            known = [plan.graph.values[name].shape[0] for name in made - shared]
            step = dataclasses.replace(step, scores=sum(known))
        steps.append(step)
    return steps

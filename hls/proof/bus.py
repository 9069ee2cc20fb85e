"""The loops that read or write the AXI4 master.

A loop that moves one burst: one beat every iteration, the address a beat further on each time, and
as many iterations as beats were asked for.  A loop that has several bursts on their way: at most
one beat an iteration, every one through the wrapper.
"""

from penstock.hls.proof.graph import Graph, Loop, Op, Operand
from penstock.hls.proof.linear import Affine, Values
from penstock.program.core.config import BEAT_BYTES

#: Loops with bursts on their way that were asked for before.
STREAMING = ("step_loop", "fetch_loop")


def bus_faults(graph: Graph, values: Values, loop: Loop) -> list[str]:
    """What is wrong with a pipelined loop's accesses to the bus, if it has any."""
    beats = [op for op in graph.ops_of(loop) if _is_beat(graph, op)]
    notes = [op.note[0] for op in graph.ops_of(loop) if op.note]
    if loop.label in STREAMING:
        wrapped = notes.count("take") + notes.count("put")
        faults = [] if len(beats) == wrapped else ["a beat does not come through the wrapper"]
        return faults + ([] if len(beats) <= 1 else ["it takes several beats an iteration"])
    if not beats:
        return []
    if len(beats) > 1:
        return [f"it has {len(beats)} accesses to the bus"]
    return _burst_faults(graph, values, loop, beats[0])


def streamed(graph: Graph, loop: Loop) -> int:
    """Beats that a loop takes or puts."""
    return sum(_is_beat(graph, op) for op in graph.ops_of(loop))


def _burst_faults(graph: Graph, values: Values, loop: Loop, beat: Op) -> list[str]:
    faults = []
    address = values.address(_pointer(beat))
    step = values.step(address.base, loop)
    if step != BEAT_BYTES or address.offset.terms:
        faults.append("its address does not move on by one beat an iteration")
    if not all(graph.dominates(beat.block, latch) for latch in loop.latches):
        faults.append("it has iterations without a beat")
    bound = values.bound(loop)
    if bound is None:
        faults.append("its number of iterations is not known when it begins")
    elif _asked(graph, values, loop) != _iterations(graph, values, loop, *bound):
        faults.append("it has not as many iterations as beats were asked for")
    return faults


def _iterations(
    graph: Graph, values: Values, loop: Loop, counter: str, bound: Affine
) -> Affine | None:
    """How often a loop that counts by one from 0 runs; None for other loops."""
    op = graph.ops[counter]
    starts = [o for o, s in zip(op.operands, op.sources, strict=True) if s not in loop]
    return bound if starts == [0] and values.step(counter, loop) == 1 else None


def _asked(graph: Graph, values: Values, loop: Loop) -> Affine | None:
    """Beats of the last request before a loop."""
    block = loop.header
    while graph.dominators[block] != block:
        block = graph.dominators[block]
        for op in reversed(graph.blocks[block].ops):
            if op.note and op.note[0] == "ask":
                return values.linear(op.operands[0])
    return None


def _pointer(op: Op) -> Operand:
    return op.operands[op.opcode == "store"]


def _is_beat(graph: Graph, op: Op) -> bool:
    """A read or write through an argument of the function: all other memory is its own."""
    if op.opcode not in ("load", "store"):
        return False
    seen: set[str] = set()
    stack = [_pointer(op)]
    while stack:
        value = stack.pop()
        if not isinstance(value, str) or value in seen:
            continue
        seen.add(value)
        source = graph.ops.get(value)
        if source is None:
            if not value.startswith("_ZN"):  # a constant table
                return True
        elif source.opcode == "phi":
            stack += source.operands
        elif source.opcode in ("getelementptr", "select"):
            stack += source.operands[source.opcode == "select" :][
                : 2 if source.opcode == "select" else 1
            ]
    return False

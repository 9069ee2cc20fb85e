"""Pass Graph -> Plan: which channels each step computes, what is skipped, and where values live.

*sequential*: a convolution whose channels are gated computes survivors only, and everything that
only skipped work would read is skipped with it.  A gate may look at any map, and may be a network
of convolutions of its own; it runs before what it decides.  *parallel*: a convolution that reads
the same map as its gate does not wait for it: it always runs, on every channel; its readers still
walk the survivors.  Both give the bytes of the graph; where a reader cannot walk a list (pool,
residual, batch norm, network output) every channel is computed, or survivors alone over a map of
zeros if those cost little.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from penstock.compiler.errors import CompileError
from penstock.compiler.ir import (
    Concat,
    Conv,
    Dense,
    Frame,
    Gate,
    Graph,
    Interleave,
    MapPool,
)
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.passes.duplicate_residuals import is_copy
from penstock.compiler.passes.tables import is_carrier
from penstock.compiler.plan.check_ends import check_exits, check_output
from penstock.compiler.plan.gate_steps import GateSteps
from penstock.compiler.plan.moves import moves, without_inputs
from penstock.compiler.plan.pairs import paired_rows
from penstock.compiler.plan.places import Places
from penstock.compiler.plan.skipping import Skipping
from penstock.compiler.plan.steps import (
    ConvStep,
    CopyStep,
    DenseStep,
    ExitStep,
    GateStep,
    InterleaveStep,
    LoadStep,
    Plan,
    PoolStep,
    Step,
    StoreStep,
    layers_of,
)
from penstock.program.base.arith import round_up
from penstock.program.core.config import BEAT_BYTES
from penstock.program.core.descriptor import GateKind

SCHEDULES = ("sequential", "parallel")


@dataclasses.dataclass(kw_only=True, eq=False)
class _Scheduler:
    """Emits the steps of one graph in order."""

    analysis: Analysis
    skipping: Skipping
    places: Places
    gate_steps: GateSteps
    finished: set[str] = dataclasses.field(default_factory=set)  # polyphase maps with odd rows

    @property
    def graph(self) -> Graph:
        return self.analysis.graph

    def run(self) -> Iterator[Step]:
        """Every step of an image, HALT excepted."""
        graph = self.graph
        place = self.places.new(graph.input)
        yield LoadStep(
            name="load", value=graph.values[graph.input], dst=place.buffer, dst_first=place.first
        )
        if self.analysis.pools(graph.input):
            yield self._pool_step(graph.input)
        yield from self._after(graph.input)
        for layer in self.analysis.layers:
            match layer:
                case Conv():
                    yield from self._conv(layer)
                case MapPool():
                    yield from self._map_pool(layer)
                case Frame():
                    yield from self._frame(layer)
                case Interleave():
                    yield from self._interleave(layer)
                case Concat():  # its parts are there
                    self.places.of[layer.output] = self.places.of[layer.inputs[0]]
            yield from self._after(layer.output)
        if self.gate_steps.n_scores:
            yield StoreStep(name="store scores", src=None, bytes=self.gate_steps.n_scores)
        yield from self._results()

    def _results(self) -> Iterator[StoreStep]:
        """A STORE of each of the network's outputs."""
        at = 0
        for name in self.graph.stored:
            value, place = self.graph.values[name], self.places.of[name]
            size = value.size
            yield StoreStep(
                name="store result" if name == self.graph.output else f"store {name}",
                src=place.buffer,
                bytes=size,
                src_first=place.first,
                channels=value.shape[0],
                at=at,
            )
            at += round_up(size, BEAT_BYTES)

    def sums_apart(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The steps, and a pass for a map's sums where its GATE or DENSE could follow others.

        The gate unit follows the sums of the convolution that runs, by their addresses: sums of
        another part, behind the map's own, would let it end while that convolution still writes.
        """
        before: list[Step] = []
        for step in steps:
            if isinstance(step, (GateStep, DenseStep)) and _overtakes(before, step):
                before.append(self._pool_step(step.pool.input))
                yield before[-1]
            before.append(step)
            yield step

    # -- steps ---------------------------------------------------------------------------------

    def _pool_step(self, value: str) -> ConvStep:
        """y = x in place, for the sums alone: no input channel, the residual is the map."""
        conv = without_inputs(self.graph, value, f"{value}.pool", residual=value)
        place = self.places.of[value]
        return ConvStep(
            name=conv.name,
            conv=conv,
            src=place.buffer,
            dst=place.buffer,
            kind="pool",
            pool=self.places.region(value),
            pool_first=place.first,
            src_first=place.first,
            dst_first=place.first,
        )

    def _clear_step(self, step: ConvStep) -> ConvStep:
        """Zeros in the map that a convolution writes, and in its sums."""
        conv = without_inputs(self.graph, step.conv.output, f"{step.name}.clear")
        return ConvStep(
            name=conv.name,
            conv=conv,
            src=step.dst,
            dst=step.dst,
            kind="clear",
            predicate=step.predicate,
            pool=step.pool,
            pool_first=step.pool_first,
            src_first=step.dst_first,
            dst_first=step.dst_first,
        )

    def _polyphase(self, value: str, always: bool = False) -> Iterator[CopyStep]:
        """The COPY to polyphase layout that stride-2 readers of a map need, once a map.

        A 1x1 kernel reads even rows alone, but for one that begins further down.  So where a gate
        can skip the others' readers, odd rows are a COPY of their own.  With `always`, only what no
        gate can skip.
        """
        readers = [conv for conv in self.analysis.convs if conv.input == value and conv.stride == 2]
        if not readers:
            return
        if parts := self.places.parts(value):
            # Not before its reader: it may be behind an exit.
            yield from () if always else self.places.copy_parts(parts)
            return
        name = f"{value}.polyphase"
        wide = [conv for conv in readers if conv.weight.shape[2] > 1 or conv.plane]
        both, odd = self.skipping.only_gate(readers), self.skipping.only_gate(wide)
        split = both is None and odd is not None and self.graph.values[value].shape[1] > 1
        step = CopyStep(
            name=name,
            value=self.graph.values[value],
            src=self.places.of[value].buffer,
            src_first=self.places.of[value].first,
            dst=name,
            rows=1 if split else 0,
            predicate=both,
        )
        if name not in self.places.buffers and not (always and both is not None):
            self.places.polyphase(value)
            yield step
        if split and not always and name not in self.finished:
            self.finished.add(name)
            # A narrow reader that comes first may be what the wide ones' gate looks at.
            known = odd if odd in self.gate_steps.scores else None
            yield dataclasses.replace(step, name=f"{name}.odd", rows=2, predicate=known)

    def _map_pool(self, pool: MapPool) -> Iterator[Step]:
        """A POOL of every channel; it makes no sums."""
        src, dst = self.places.of[pool.input], self.places.new(pool.output)
        yield PoolStep(
            name=pool.name,
            pool=pool,
            channels=self.graph.values[pool.output].shape[0],
            src=src.buffer,
            dst=dst.buffer,
            src_first=src.first,
            dst_first=dst.first,
        )
        if self.analysis.needs_sums(pool.output):
            yield self._pool_step(pool.output)

    def _frame(self, frame: Frame) -> Iterator[Step]:
        """The channels and pixels of a map that another one has, over its border."""
        src, dst = self.places.of[frame.input], self.places.new(frame.output)
        channels, *sides = self.graph.values[frame.input].shape
        if not frame.whole((sides[0], sides[1])):
            conv = without_inputs(self.graph, frame.output, f"{frame.name}.border", fill=frame.fill)
            yield ConvStep(
                name=conv.name,
                conv=conv,
                src=dst.buffer,
                dst=dst.buffer,
                kind="clear",
                src_first=dst.first,
                dst_first=dst.first,
            )
        yield from moves(frame, (channels, sides[0], sides[1]), src, dst)
        if self.analysis.needs_sums(frame.output):
            yield self._pool_step(frame.output)

    def _interleave(self, item: Interleave) -> Iterator[Step]:
        """Planes to a map, every channel of it."""
        src, dst = self.places.of[item.input], self.places.new(item.output)
        yield InterleaveStep(
            name=item.name,
            interleave=item,
            src=src.buffer,
            dst=dst.buffer,
            src_first=src.first,
            dst_first=dst.first,
        )
        if self.analysis.needs_sums(item.output):
            yield self._pool_step(item.output)

    def _conv(self, conv: Conv) -> Iterator[Step]:
        """A convolution, after the COPY of its input if it needs one."""
        if conv.stride == 2:
            yield from self._polyphase(conv.input)
        src = self.places.of[conv.input] if conv.stride == 1 else self.places.polyphase(conv.input)
        if conv.residual is None:
            dst = self.places.new(conv.output)
        else:
            dst = self.places.of[conv.output] = self.places.of[conv.residual]
        predicate = self.skipping.predicates.get(conv.output)
        pooled = self.analysis.needs_sums(conv.output)
        step = ConvStep(
            name=conv.name,
            conv=conv,
            src=src.buffer,
            dst=dst.buffer,
            kind=self._kind(conv),
            in_list=self.skipping.in_list(conv),
            out_list=self.skipping.out_list(conv),
            predicate=predicate,
            pred_empty=self.skipping.pred_empty(conv) and self.skipping.shortcut(conv) is None,
            pool=self.places.region(conv.output) if pooled else None,
            pool_first=dst.first,
            src_first=src.first,
            dst_first=dst.first,
        )
        block = next((c for c in self.analysis.convs if self.skipping.shortcut(c) is conv), None)
        if self.skipping.cleared(conv):
            yield self._clear_step(step)
        if block is None:
            yield step
        else:
            yield from self._two_forms(step, block)

    def _kind(self, conv: Conv) -> str:
        """Whose work it is: the network's, a gate network's, or none that either has."""
        if is_copy(conv) or is_carrier(conv):
            return "copy"
        if self.analysis.scales(conv):
            return "scale"
        return "gate" if conv.output in self.analysis.deciding else "conv"

    def _two_forms(self, step: ConvStep, block: Conv) -> Iterator[ConvStep]:
        """A shortcut for an executed block, and for a skipped one, whose result it then is."""
        gate = self.skipping.predicates[block.output]
        yield dataclasses.replace(step, predicate=gate)
        low, high = (min(max(c, block.clamp[0]), block.clamp[1]) for c in step.conv.clamp)
        if block.table is not None and block.clamp[0] < 0:  # what makes its result int8
            low = min(low, -1)
        yield dataclasses.replace(
            step,
            name=f"{step.name} as {block.name}",
            conv=dataclasses.replace(step.conv, clamp=(low, high), table=block.table),
            predicate=gate,
            pred_not=True,
            pool=self.places.region(step.conv.output)
            if self.analysis.needs_sums(block.output)
            else None,
        )

    def _after(self, value: str) -> Iterator[Step]:
        """What needs a finished map: exits, layouts, then gates and dense layers of its sums.

        What an image that exits does not need comes after the exit.  A GATE runs beside a COPY that
        was started before it, so the COPY comes first.
        """
        leaves = [leave.logits for leave in self.graph.exits]
        for pool in self.analysis.pools(value):
            for node in self.analysis.readers(pool.output):
                if isinstance(node, Dense) and node.output in leaves:
                    yield self.gate_steps.dense(node, pool, value)
                    yield self.gate_steps.exit(self.graph.exits[leaves.index(node.output)], node)
        yield from self._polyphase(value, always=True)
        for pool in self.analysis.pools(value):
            readers = self.analysis.readers(pool.output)
            gates = [node for node in readers if isinstance(node, Gate)]
            for kind in GateKind:
                yield from self.gate_steps.gates([g for g in gates if g.kind == kind], pool)
            for node in readers:
                if isinstance(node, Dense) and node.output not in leaves:
                    yield self.gate_steps.dense(node, pool, value)
                    if self.analysis.pools(node.output):
                        yield self._pool_step(node.output)
                        yield from self._after(node.output)


def _overtakes(before: Sequence[Step], step: GateStep | DenseStep) -> bool:
    """Whether a convolution that makes sums behind those of `step` may run when it starts."""
    end = step.region_first + layers_of(step)[0].weight.shape[1]
    for other in reversed(before):
        if isinstance(other, (GateStep, DenseStep, ExitStep, LoadStep, StoreStep)):
            return False  # they waited for it
        if isinstance(other, ConvStep):
            last = other.pool_first + len(other.conv.bias)
            if other.pool is not None and (other.pool != step.region or last > end):
                return True
            if other.predicate is None or other.pred_empty:
                return False
    return False


def schedule_graph(graph: Graph, mode: str, *, clear: bool = True, paired: bool = True) -> Plan:
    """The plan of a graph whose residuals are free to be overwritten (`duplicate_residuals`).

    `clear`: maps may be cleared for what a mask leaves.  `paired`: maps that are added may lie in
    turn.

    Raises:
        CompileError: unknown mode, or an output the core cannot store.
    """
    if mode not in SCHEDULES:
        raise CompileError(f"unknown schedule '{mode}'", hint=f"one of {', '.join(SCHEDULES)}")
    check_output(graph)
    analysis = Analysis(graph=graph)
    rows = paired_rows(analysis) if paired else frozenset()
    places = Places(analysis=analysis, paired=rows)
    skipping = Skipping(analysis=analysis, parallel=mode == "parallel", clear=clear)
    gate_steps = GateSteps(analysis=analysis, skipping=skipping, places=places)
    scheduler = _Scheduler(
        analysis=analysis, skipping=skipping, places=places, gate_steps=gate_steps
    )
    steps = tuple(scheduler.run())
    if graph.adjacent:
        steps = tuple(scheduler.sums_apart(steps))
    check_exits(graph, steps)
    return Plan(
        graph=graph,
        schedule=mode,
        steps=steps,
        buffers=places.buffers,
        pools=places.pools,
        scores=gate_steps.scores,
    )

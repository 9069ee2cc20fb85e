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

import numpy as np

from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.timing import Timing
from penstock.compiler.ir import (
    Concat,
    Conv,
    Dense,
    Exit,
    Frame,
    Gate,
    Graph,
    MapPool,
    Pool,
)
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.passes.duplicate_residuals import is_copy
from penstock.compiler.plan.moves import moves, without_inputs
from penstock.compiler.plan.pairs import paired_rows
from penstock.compiler.plan.places import Places
from penstock.compiler.plan.steps import (
    ConvStep,
    CopyStep,
    DenseStep,
    ExitStep,
    GateStep,
    LoadStep,
    Plan,
    PoolStep,
    Step,
    StoreStep,
    layers_of,
)
from penstock.program.descriptor import GateKind

SCHEDULES = ("sequential", "parallel")
#: A map is cleared for a masked convolution of at least so many times the cycles.
CLEAR_FACTOR = 4


@dataclasses.dataclass(kw_only=True, eq=False)
class _Scheduler:
    """Emits the steps of one graph in order."""

    analysis: Analysis
    mode: str
    clear: bool
    places: Places
    scores: dict[str, int] = dataclasses.field(default_factory=dict)
    n_scores: int = 0
    predicates: dict[str, str] = dataclasses.field(default_factory=dict)
    finished: set[str] = dataclasses.field(default_factory=set)  # polyphase maps with odd rows

    @property
    def graph(self) -> Graph:
        return self.analysis.graph

    def run(self) -> Iterator[Step]:
        """Every step of an image, HALT excepted."""
        self.predicates = self._all_predicates()
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
                case Concat():  # its parts are there
                    self.places.of[layer.output] = self.places.of[layer.inputs[0]]
            yield from self._after(layer.output)
        if self.n_scores:
            yield StoreStep(name="store scores", src=None, bytes=self.n_scores)
        output = graph.values[graph.output]
        size = int(np.prod(output.shape))
        place = self.places.of[graph.output]
        yield StoreStep(
            name="store result",
            src=place.buffer,
            bytes=size,
            src_first=place.first,
            channels=output.shape[0],
        )

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

    # -- skipping ------------------------------------------------------------------------------

    def _early(self, conv: Conv, scores: str) -> bool:
        """In the parallel schedule this convolution does not wait for the gate."""
        return self.mode == "parallel" and conv.input == self.analysis.gate_source(scores)

    def in_list(self, conv: Conv) -> str | None:
        """The gate whose survivors a convolution walks; None: every channel of a group."""
        walks = conv.groups == 1 and conv.pixels == 1 and conv.pad == 0 and conv.weight.size > 0
        return self.analysis.survivors(conv.input) if walks else None

    def out_list(self, conv: Conv) -> str | None:
        """The gate whose survivors a convolution computes; None: every channel.

        They are all that its readers read.  A depthwise reader reads the channels it computes: so
        the list of a gate behind it serves the convolution before it too.
        """
        if self._masked_in_place(conv) or self._cleared(conv):
            mask = self.analysis.mask(conv)
            return mask.scores if mask else None
        return self._read_list(conv)

    def _read_list(self, conv: Conv) -> str | None:
        """The gate whose survivors are all that a map's readers read."""
        readers = self.analysis.only_conv_input(conv.output)
        if readers is None or not (conv.groups == 1 or conv.depthwise):
            return None
        read = {self.out_list(c) if c.depthwise else self.in_list(c) for c in readers}
        scores = read.pop()
        if read or scores is None or self._early(conv, scores):
            return None
        decided = self.analysis.position[self.analysis.gate_source(scores)]
        return scores if decided < self.analysis.position[conv.output] else None

    def _masked_in_place(self, conv: Conv) -> bool:
        """A sum in place of which channels with score 0 are there already, and their sums too."""
        fold = self.analysis.mask(conv)
        return (
            fold is not None
            and fold.per_channel
            and (conv.groups == 1 or conv.depthwise)
            and self.analysis.skip_is_identity(conv)
            and self._sums_valid(conv)
            and not self._early(conv, fold.scores)
        )

    def _cleared(self, conv: Conv) -> bool:
        """A masked convolution, every channel of which is read, computes survivors over zeros.

        Where that pays: its map is cleared by a convolution without inputs.
        """
        fold = self.analysis.mask(conv)
        if not self.clear or fold is None or not fold.per_channel or conv.residual is not None:
            return False
        low, high = conv.clamp
        decided = self.analysis.position[self.analysis.gate_source(fold.scores)]
        return (
            conv.groups == 1
            and low <= 0 <= high
            and conv.weight[0].size >= CLEAR_FACTOR * Timing().tile
            and decided < self.analysis.position[conv.output]
            and not self._early(conv, fold.scores)
            and self._read_list(conv) is None
        )

    def _sums_valid(self, conv: Conv) -> bool:
        """What an in-place convolution leaves untouched has its sums, if they are needed."""
        needed = self.analysis.needs_sums(conv.output)
        return not needed or bool(conv.residual and self.analysis.needs_sums(conv.residual))

    def _all_predicates(self) -> dict[str, str]:
        """Convolution output -> the gate whose score 0 skips it (last reader first)."""
        found: dict[str, str] = {}
        for conv in reversed(self.analysis.convs):
            mask = self.analysis.mask(conv)
            if mask is not None and not mask.per_channel:
                found[conv.output] = mask.scores
                continue
            readers = self.analysis.only_conv_input(conv.output)
            gates = {found.get(reader.output) for reader in readers or ()}
            gate = gates.pop() if len(gates) == 1 else None
            if gate is None or self._early(conv, gate):
                continue
            decided = self.analysis.position[self.analysis.gate_source(gate)]
            if decided < self.analysis.position[conv.output]:
                found[conv.output] = gate
        return found

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

        A 1x1 kernel reads even rows alone.  So where a gate can skip the others' readers, odd rows
        are a COPY of their own.  With `always`, only what no gate can skip.
        """
        readers = [conv for conv in self.analysis.convs if conv.input == value and conv.stride == 2]
        if not readers:
            return
        if parts := self.places.parts(value):
            # Not before its reader: it may be behind an exit.
            yield from () if always else self.places.copy_parts(parts)
            return
        name = f"{value}.polyphase"
        wide = [conv for conv in readers if conv.weight.shape[2] > 1]
        both, odd = self._only_gate(readers), self._only_gate(wide)
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
            known = odd if odd in self.scores else None
            yield dataclasses.replace(step, name=f"{name}.odd", rows=2, predicate=known)

    def _only_gate(self, convs: list[Conv]) -> str | None:
        """The one gate that can skip all of these, if there is one."""
        gates = {self.predicates.get(conv.output) for conv in convs}
        return gates.pop() if len(gates) == 1 else None

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

    def _conv(self, conv: Conv) -> Iterator[Step]:
        """A convolution, after the COPY of its input if it needs one."""
        if conv.stride == 2:
            yield from self._polyphase(conv.input)
        src = self.places.of[conv.input] if conv.stride == 1 else self.places.polyphase(conv.input)
        if conv.residual is None:
            dst = self.places.new(conv.output)
        else:
            dst = self.places.of[conv.output] = self.places.of[conv.residual]
        predicate = self.predicates.get(conv.output)
        pooled = self.analysis.needs_sums(conv.output)
        step = ConvStep(
            name=conv.name,
            conv=conv,
            src=src.buffer,
            dst=dst.buffer,
            kind=self._kind(conv),
            in_list=self.in_list(conv),
            out_list=self.out_list(conv),
            predicate=predicate,
            pred_empty=self._pred_empty(conv) and self._shortcut(conv) is None,
            pool=self.places.region(conv.output) if pooled else None,
            pool_first=dst.first,
            src_first=src.first,
            dst_first=dst.first,
        )
        block = next((c for c in self.analysis.convs if self._shortcut(c) is conv), None)
        if self._cleared(conv):
            yield self._clear_step(step)
        if block is None:
            yield step
        else:
            yield from self._two_forms(step, block)

    def _kind(self, conv: Conv) -> str:
        """Whose work it is: the network's, a gate network's, or none that either has."""
        if is_copy(conv):
            return "copy"
        if self.analysis.scales(conv):
            return "scale"
        return "gate" if conv.output in self.analysis.deciding else "conv"

    def _pred_empty(self, conv: Conv) -> bool:
        """With a block score of 0 it must run without inputs: its map or sums are not there yet."""
        mask = self.analysis.mask(conv)
        if mask is None or mask.per_channel:
            return False
        # Skipped outright, the map and its sums must already be there.
        return not (self.analysis.skip_is_identity(conv) and self._sums_valid(conv))

    def _shortcut(self, conv: Conv) -> Conv | None:
        """The convolution that can write the result of a skipped block itself: its shortcut.

        It makes the block's residual for nobody else, unconditionally, after the block's gate.
        """
        if conv.residual is None or not self._pred_empty(conv):
            return None
        made = self.analysis.producer.get(conv.residual)
        gate = self.predicates.get(conv.output)
        if not isinstance(made, Conv) or is_copy(made) or gate is None:
            return None
        source = self.analysis.position[self.analysis.gate_source(gate)]
        plain = made.residual is None and made.fold is None
        known = made.output not in self.predicates and self.out_list(made) is None
        alone = self.analysis.readers(made.output) == [conv] and conv.input != made.output
        late = source < self.analysis.position[made.output]
        return made if plain and known and alone and late else None

    def _two_forms(self, step: ConvStep, block: Conv) -> Iterator[ConvStep]:
        """A shortcut for an executed block, and for a skipped one, whose result it then is."""
        gate = self.predicates[block.output]
        yield dataclasses.replace(step, predicate=gate)
        low, high = (min(max(c, block.clamp[0]), block.clamp[1]) for c in step.conv.clamp)
        yield dataclasses.replace(
            step,
            name=f"{step.name} as {block.name}",
            conv=dataclasses.replace(step.conv, clamp=(low, high)),
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
                    yield self._dense(node, pool, value)
                    yield self._exit(self.graph.exits[leaves.index(node.output)], node)
        yield from self._polyphase(value, always=True)
        for pool in self.analysis.pools(value):
            readers = self.analysis.readers(pool.output)
            gates = [node for node in readers if isinstance(node, Gate)]
            for kind in GateKind:
                yield from self._gates([g for g in gates if g.kind == kind], pool)
            for node in readers:
                if isinstance(node, Dense) and node.output not in leaves:
                    yield self._dense(node, pool, value)
                    if self.analysis.pools(node.output):
                        yield self._pool_step(node.output)
                        yield from self._after(node.output)

    def _dense(self, node: Dense, pool: Pool, value: str) -> DenseStep:
        """A dense layer of the sums of map `value`."""
        sums, dst = self.places.of[value], self.places.new(node.output)
        return DenseStep(
            name=node.name,
            dense=node,
            pool=pool,
            region=sums.buffer,
            region_first=sums.first,
            dst=dst.buffer,
            kind="gate" if node.output in self.analysis.deciding else "conv",
        )

    def _exit(self, leave: Exit, node: Dense) -> ExitStep:
        """The test behind a classifier head."""
        return ExitStep(
            name=f"{node.name} exit",
            logits=self.graph.values[leave.logits],
            src=self.places.of[leave.logits].buffer,
            threshold=leave.threshold,
            scores=self.n_scores,
        )

    def _gates(self, gates: list[Gate], pool: Pool) -> Iterator[GateStep]:
        """GATEs of one kind: all without a list and the first list, then one list each."""
        sums = self.places.of[pool.input]
        listed = [gate for gate in gates if self._has_list(gate)]
        merged = [gate for gate in gates if gate not in listed] + listed[:1]
        for group in [merged, *([gate] for gate in listed[1:])]:
            if group:
                for gate in group:
                    self.scores[gate.output] = self.n_scores
                    self.n_scores += len(gate.bias)
                yield GateStep(
                    name="+".join(gate.name for gate in group),
                    gates=tuple(group),
                    pool=pool,
                    region=sums.buffer,
                    region_first=sums.first,
                    list=group[-1].output if group[-1] in listed else None,
                    within=self._within(group) if group[-1] in listed else None,
                    kind="gate" if self.analysis.of_gates(group[0]) else "conv",
                )

    def _within(self, group: list[Gate]) -> str | None:
        """The one block gate before a listed gate, if its score 0 skips all that reads the list."""
        if len(group) != 2 or len(group[0].bias) != 1:
            return None
        block, channels = (gate.output for gate in group)
        users = [
            conv
            for conv in self.analysis.convs
            if channels in (self.out_list(conv), self.in_list(conv))
            or (conv.fold is not None and conv.fold.scores == channels)
        ]
        return block if all(self.predicates.get(c.output) == block for c in users) else None

    def _has_list(self, gate: Gate) -> bool:
        return any(
            self.out_list(conv) == gate.output
            or (self.analysis.survivors(conv.output) == gate.output and self._walked(conv.output))
            for conv in self.analysis.convs
        )

    def _walked(self, value: str) -> bool:
        readers = self.analysis.readers(value)
        return any(
            isinstance(node, Conv) and node.input == value and self.in_list(node) is not None
            for node in readers
        )


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


def _check_output(graph: Graph) -> None:
    """The output must be a map or a dense layer's vector: what can lie in feature memory."""
    kinds = (Conv, MapPool, Frame, Dense)
    stored = {node.output for node in graph.nodes if isinstance(node, kinds)}
    if graph.output not in stored:
        raise CompileError(
            f"output '{graph.output}' is not made by a convolution or a dense layer",
            hint="end the network with Conv, or with GlobalAveragePool and Gemm",
        )


def _check_exits(graph: Graph, steps: tuple[Step, ...]) -> None:
    """Each exit has a classifier head of the network's own classes, and they come in order."""
    found = [step.logits.name for step in steps if isinstance(step, ExitStep)]
    classes = graph.values[graph.output].shape
    for leave in graph.exits:
        if leave.logits not in found:
            raise CompileError(
                f"exit '{leave.logits}' is not made by a dense layer",
                hint="end each exit with GlobalAveragePool and Gemm",
            )
        if graph.values[leave.logits].shape != classes:
            raise CompileError(
                f"exit '{leave.logits}' has shape {graph.values[leave.logits].shape}, "
                f"the network's output {classes}",
                hint="give every exit the same classes",
            )
    if found != [leave.logits for leave in graph.exits]:
        raise CompileError(
            f"exits run in the order {', '.join(found)}, not as they are named",
            hint="name the exits in the order of the layers they read",
        )


def schedule_graph(graph: Graph, mode: str, *, clear: bool = True, paired: bool = True) -> Plan:
    """The plan of a graph whose residuals are free to be overwritten (`duplicate_residuals`).

    `clear`: maps may be cleared for what a mask leaves.  `paired`: maps that are added may lie in
    turn.

    Raises:
        CompileError: unknown mode, or an output the core cannot store.
    """
    if mode not in SCHEDULES:
        raise CompileError(f"unknown schedule '{mode}'", hint=f"one of {', '.join(SCHEDULES)}")
    _check_output(graph)
    analysis = Analysis(graph=graph)
    rows = paired_rows(analysis) if paired else frozenset()
    places = Places(analysis=analysis, paired=rows)
    scheduler = _Scheduler(analysis=analysis, mode=mode, clear=clear, places=places)
    steps = tuple(scheduler.run())
    if graph.adjacent:
        steps = tuple(scheduler.sums_apart(steps))
    _check_exits(graph, steps)
    return Plan(
        graph=graph,
        schedule=mode,
        steps=steps,
        buffers=scheduler.places.buffers,
        pools=scheduler.places.pools,
        scores=scheduler.scores,
    )

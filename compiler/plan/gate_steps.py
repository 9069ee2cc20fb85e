"""Steps of the gate unit: gates, dense layers and exit tests, and where their scores are stored."""

import dataclasses
from collections.abc import Iterator

from penstock.compiler.ir import Dense, Exit, Gate, Graph, Pool
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.plan.places import Places
from penstock.compiler.plan.skipping import Skipping
from penstock.compiler.plan.steps import DenseStep, ExitStep, GateStep


@dataclasses.dataclass(kw_only=True, eq=False)
class GateSteps:
    """Makes them in the order in which they run.

    Attributes:
        scores: gate -> number of its first score in the score memory.
        n_scores: scores so far.
    """

    analysis: Analysis
    skipping: Skipping
    places: Places
    scores: dict[str, int] = dataclasses.field(default_factory=dict)
    n_scores: int = 0

    @property
    def graph(self) -> Graph:
        return self.analysis.graph

    def gates(self, gates: list[Gate], pool: Pool) -> Iterator[GateStep]:
        """GATEs of one kind: all without a list and the first list, then one list each."""
        sums = self.places.of[pool.input]
        listed = [gate for gate in gates if self.skipping.has_list(gate)]
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
                    within=self.skipping.within(group) if group[-1] in listed else None,
                    kind="gate" if self.analysis.of_gates(group[0]) else "conv",
                )

    def dense(self, node: Dense, pool: Pool, value: str) -> DenseStep:
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

    def exit(self, leave: Exit, node: Dense) -> ExitStep:
        """The test behind a classifier head."""
        return ExitStep(
            name=f"{node.name} exit",
            logits=self.graph.values[leave.logits],
            src=self.places.of[leave.logits].buffer,
            threshold=leave.threshold,
            scores=self.n_scores,
        )

"""Skipping rules: which gate skips a convolution, whose survivors it walks, what may lie as it was.

The rules read the graph alone; `schedule` makes steps of what they say.
"""

import dataclasses
import functools

from penstock.compiler.estimate.timing import Timing
from penstock.compiler.ir import Conv, Gate
from penstock.compiler.passes.analysis import Analysis, makes_zero
from penstock.compiler.passes.duplicate_residuals import is_copy

#: A map is cleared for a masked convolution of at least so many times the cycles.
CLEAR_FACTOR = 4


@dataclasses.dataclass(kw_only=True, eq=False)
class Skipping:
    """What is skipped in a graph, and when that is known.

    Attributes:
        analysis: of the graph.
        parallel: convolutions that read the same map as their gate do not wait for it.
        clear: maps may be cleared for what a mask leaves.
    """

    analysis: Analysis
    parallel: bool
    clear: bool

    @functools.cached_property
    def predicates(self) -> dict[str, str]:
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
            if gate is None or self.early(conv, gate):
                continue
            decided = self.analysis.position[self.analysis.gate_source(gate)]
            if decided < self.analysis.position[conv.output]:
                found[conv.output] = gate
        return found

    def in_list(self, conv: Conv) -> str | None:
        """The gate whose survivors a convolution walks; None: every channel of a group."""
        walks = conv.groups == 1 and conv.pixels == 1 and conv.pad == 0 and conv.weight.size > 0
        return self.analysis.survivors(conv.input) if walks else None

    def out_list(self, conv: Conv) -> str | None:
        """The gate whose survivors a convolution computes; None: every channel.

        They are all that its readers read.  A depthwise reader reads the channels it computes: so
        the list of a gate behind it serves the convolution before it too.
        """
        if self._masked_in_place(conv) or self.cleared(conv):
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
        if read or scores is None or self.early(conv, scores):
            return None
        decided = self.analysis.position[self.analysis.gate_source(scores)]
        return scores if decided < self.analysis.position[conv.output] else None

    def early(self, conv: Conv, scores: str) -> bool:
        """In the parallel schedule this convolution does not wait for the gate."""
        return self.parallel and conv.input == self.analysis.gate_source(scores)

    def _masked_in_place(self, conv: Conv) -> bool:
        """A sum in place of which channels with score 0 are there already, and their sums too."""
        fold = self.analysis.mask(conv)
        return (
            fold is not None
            and fold.per_channel
            and (conv.groups == 1 or conv.depthwise)
            and self.analysis.skip_is_identity(conv)
            and self._sums_valid(conv)
            and not self.early(conv, fold.scores)
        )

    def cleared(self, conv: Conv) -> bool:
        """A masked convolution, every channel of which is read, computes survivors over zeros.

        Where that pays: its map is cleared by a convolution without inputs.
        """
        fold = self.analysis.mask(conv)
        if not self.clear or fold is None or not fold.per_channel or conv.residual is not None:
            return False
        decided = self.analysis.position[self.analysis.gate_source(fold.scores)]
        return (
            conv.groups == 1
            and makes_zero(conv, 0)
            and conv.weight[0].size >= CLEAR_FACTOR * Timing().tile
            and decided < self.analysis.position[conv.output]
            and not self.early(conv, fold.scores)
            and self._read_list(conv) is None
        )

    def _sums_valid(self, conv: Conv) -> bool:
        """What an in-place convolution leaves untouched has its sums, if they are needed."""
        needed = self.analysis.needs_sums(conv.output)
        return not needed or bool(conv.residual and self.analysis.needs_sums(conv.residual))

    def pred_empty(self, conv: Conv) -> bool:
        """With a block score of 0 it must run without inputs: its map or sums are not there yet."""
        mask = self.analysis.mask(conv)
        if mask is None or mask.per_channel:
            return False
        # Skipped outright, the map and its sums must already be there.
        return not (self.analysis.skip_is_identity(conv) and self._sums_valid(conv))

    def shortcut(self, conv: Conv) -> Conv | None:
        """The convolution that can write the result of a skipped block itself: its shortcut.

        It makes the block's residual for nobody else, unconditionally, after the block's gate.
        """
        if conv.residual is None or not self.pred_empty(conv):
            return None
        made = self.analysis.producer.get(conv.residual)
        gate = self.predicates.get(conv.output)
        if not isinstance(made, Conv) or is_copy(made) or gate is None:
            return None
        source = self.analysis.position[self.analysis.gate_source(gate)]
        plain = made.residual is None and made.fold is None and made.table is None
        known = made.output not in self.predicates and self.out_list(made) is None
        alone = self.analysis.readers(made.output) == [conv] and conv.input != made.output
        late = source < self.analysis.position[made.output]
        return made if plain and known and alone and late else None

    def only_gate(self, convs: list[Conv]) -> str | None:
        """The one gate that can skip all of these, if there is one."""
        gates = {self.predicates.get(conv.output) for conv in convs}
        return gates.pop() if len(gates) == 1 else None

    def within(self, group: list[Gate]) -> str | None:
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

    def has_list(self, gate: Gate) -> bool:
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

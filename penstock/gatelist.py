"""The gates of a compiled network and what each of them skips, read from its descriptors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from penstock.program.base.optional import require
from penstock.program.core.config import ALL_CHANNELS
from penstock.program.core.descriptor import Op
from penstock.tables import Table

if TYPE_CHECKING:
    from penstock.compiler.compiled import CompiledNetwork
    from penstock.program.core.descriptor import Descriptor


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateInfo:
    """One gate.

    Attributes:
        layer: its dense layer in the ONNX file.
        name: its scores, as in `Run.scores`.
        kind: "relu1", "binary" or "sigmoid".
        scores: how many it gives; one is a block's, or the branch's of a router.
        skips: layers that do not run where a score is 0.
        outputs: layers of which only the channels with a score are computed and fetched.
        inputs: layers that read those channels alone.
        scales: layers whose result its scores multiply.
        never: why it never skips anything, whatever the image; "" if it can.
        always: why it skips all of that, whatever the image; "" if it need not.
    """

    layer: str
    name: str
    kind: str
    scores: int
    skips: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    scales: tuple[str, ...]
    never: str
    always: str

    def describe(self) -> str:
        """What it does, in a line."""
        if self.never:
            return f"can never skip: {self.never}"
        parts = [
            ("skips", self.skips),
            ("output channels of", self.outputs),
            ("input channels of", self.inputs),
        ]
        text = "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names)
        return f"{text}; {self.always}" if self.always else text


class GateList(Sequence[GateInfo]):
    """The gates in the order in which they are computed; prints as a table."""

    def __init__(self, network: str, gates: Sequence[GateInfo]) -> None:
        self.network, self._gates = network, tuple(gates)

    @overload
    def __getitem__(self, index: int) -> GateInfo: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[GateInfo, ...]: ...

    def __getitem__(self, index: int | slice) -> GateInfo | tuple[GateInfo, ...]:
        return self._gates[index]

    def __len__(self) -> int:
        return len(self._gates)

    def __iter__(self) -> Iterator[GateInfo]:
        return iter(self._gates)

    def table(self) -> Table:
        """A row a gate."""
        rows = [(gate.layer, gate.kind, str(gate.scores), gate.describe()) for gate in self._gates]
        title = f"{self.network}: {len(rows)} gates" if rows else f"{self.network} has no gate"
        return Table(title=title, columns=("gate", "kind", "scores", "what it skips"), rows=rows)

    def __str__(self) -> str:
        return self.table().text() if self._gates else self.table().title

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html()


@dataclasses.dataclass(slots=True)
class _Uses:
    """Layers by what a gate does to them, and its own."""

    layer: str = ""
    skips: dict[str, None] = dataclasses.field(default_factory=dict)
    outputs: dict[str, None] = dataclasses.field(default_factory=dict)
    inputs: dict[str, None] = dataclasses.field(default_factory=dict)
    scales: dict[str, None] = dataclasses.field(default_factory=dict)


def find_gates(compiled: CompiledNetwork) -> GateList:
    """The gates of a compiled network.

    Whether a gate's weights leave it a choice is known where the ONNX file is.
    """
    package = compiled.package
    gates = package.meta["gates"]
    owner = {
        gate["score"] + index: gate["name"] for gate in gates for index in range(gate["count"])
    }
    uses = {gate["name"]: _Uses() for gate in gates}
    lists: dict[int, str] = {}  # list of survivors -> the gate that wrote it last
    descriptors = require("penstock.compiler.estimate.activity").decode(package)
    for d, layer in zip(descriptors, package.meta["layers"], strict=True):
        _note_uses(d, layer["name"], owner, lists, uses)
    closes, opens = _fixed_gates(compiled)
    return GateList(
        package.meta["network"],
        [
            GateInfo(
                layer=used.layer,
                name=gate["name"],
                kind=gate["kind"],
                scores=gate["count"],
                skips=tuple(used.skips),
                outputs=tuple(used.outputs),
                inputs=tuple(used.inputs),
                scales=tuple(used.scales),
                never=_never(gate["kind"], used, closes.get(gate["name"], "")),
                always=opens.get(gate["name"], ""),
            )
            for gate in gates
            for used in [uses[gate["name"]]]
        ],
    )


def _fixed_gates(compiled: CompiledNetwork) -> tuple[dict[str, str], dict[str, str]]:
    """Gates that no image closes, and those that none opens: why, where the file is known."""
    if compiled.model is None and compiled.graph is None:
        return {}, {}
    graph = compiled.integer_graph()
    said = require("penstock.compiler.gate_warnings").gate_warnings(graph)
    found: tuple[dict[str, str], dict[str, str]] = {}, {}
    for node in graph.nodes:
        if (text := said.get(node.name)) and node.output:
            reason = text.removeprefix(f"gate '{node.name}' ").partition(";")[0]
            found["never opens" in reason][node.output] = reason
    return found


def _note_uses(
    d: Descriptor, layer: str, owner: dict[int, str], lists: dict[int, str], uses: dict[str, _Uses]
) -> None:
    """What one descriptor does by whose scores."""
    if d.pred_en:
        uses[owner[d.pred_slot]].skips[layer] = None
    if d.op == Op.GATE:
        for slot in {owner[d.dst], owner[d.dst + d.cout - 1]}:
            uses[slot].layer = uses[slot].layer or layer
        if d.out_list != ALL_CHANNELS:
            lists[d.out_list] = owner[d.dst + d.list_from]
    elif d.op == Op.CONV:
        if d.out_list != ALL_CHANNELS:
            uses[lists[d.out_list]].outputs[layer] = None
        if d.in_list != ALL_CHANNELS:
            uses[lists[d.in_list]].inputs[layer] = None
        if d.fold_en:
            uses[owner[d.fold_slot]].scales[layer] = None


def _never(kind: str, used: _Uses, fixed: str) -> str:
    """Why a gate never skips; "" if it can."""
    if kind == "sigmoid":
        return "a sigmoid is never 0; it scales " + ", ".join(used.scales)
    if fixed:
        return fixed
    if not (used.skips or used.outputs or used.inputs):
        return f"something that needs every channel reads what it scales: {', '.join(used.scales)}"
    return ""

"""The float-side network the import passes work on: ONNX without protobuf."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from penstock.compiler.errors import CompileError
from penstock.compiler.names import FreshNames

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpNode:
    """One ONNX node.  An absent optional input is ""; `attrs` holds plain Python values."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The name users know it by: its own, else that of its first output."""
        return self.name or self.outputs[0]

    @property
    def output(self) -> str:
        """Its first output."""
        return self.outputs[0]

    def optional_input(self, index: int) -> str:
        """Name of input `index`, "" if absent."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def error(self, reason: str, hint: str = "") -> CompileError:
        """A CompileError about this node."""
        return CompileError(reason, node=self.label, op=self.op, hint=hint)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EndNodes:
    """What the host computes at one end: nodes in order, from tensor `source` to `result`."""

    nodes: tuple[OpNode, ...]
    source: str
    result: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Net:
    """A network: nodes in topological order, one image input, batch size 1.

    `exits` are the outputs of early exits in order, `thresholds` theirs; `others` outputs beside
    `output`, of a network without exits.  `head` and `tails` (one for each of `results` in order;
    or none) are left out of `nodes`: `input` is then what the
    head makes, `output` what the tail reads.  `mirrored`: whether rows and columns of every map are
    those of the file from the last to the first.
    """

    name: str
    nodes: tuple[OpNode, ...]
    constants: Mapping[str, Array]
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, str]  # NumPy type names
    input: str
    output: str
    metadata: Mapping[str, str]  # the "penstock." properties, without that prefix
    opset: int
    exits: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    head: EndNodes | None = None
    tails: tuple[EndNodes, ...] = ()
    mirrored: tuple[bool, bool] = (False, False)

    @property
    def results(self) -> tuple[str, ...]:
        """What leaves the network: the exits' outputs, its own, the others."""
        return (*self.exits, self.output, *self.others)

    def with_results(self, names: Sequence[str], **changes: Any) -> "Net":
        """A copy whose `results` have other names, and with other fields."""
        first = len(self.exits)
        exits, output, others = names[:first], names[first], names[first + 1 :]
        return self.replace(exits=tuple(exits), output=output, others=tuple(others), **changes)

    @property
    def ends(self) -> tuple[EndNodes, ...]:
        """Head and tails, as far as there are any."""
        return (*((self.head,) if self.head else ()), *self.tails)

    def replace(self, **changes: Any) -> "Net":
        """A copy with other fields."""
        return dataclasses.replace(self, **changes)

    def fresh_names(self) -> FreshNames:
        """A source of names that no tensor of the network has."""
        names = {*self.constants, *self.shapes, self.input}
        for node in (*self.nodes, *(node for end in self.ends for node in end.nodes)):
            names.update(node.inputs, node.outputs)
        return FreshNames(names)

    def is_constant(self, name: str) -> bool:
        """Whether `name` is a known array."""
        return name in self.constants

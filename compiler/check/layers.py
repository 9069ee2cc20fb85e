"""Every layer of the integer graph alone, on onnxruntime's own integers, then all of it."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from penstock.compiler import ir
from penstock.compiler.check.reference import Array, Reference
from penstock.compiler.check.result import (
    CheckResult,
    GateFlips,
    LayerDifference,
    LogitDifference,
)
from penstock.compiler.check.ties import comparisons, near
from penstock.compiler.check.tolerance import (
    FUNCTION_ERROR,
    Known,
    Steps,
    allowed_steps,
    unsure_averages,
)
from penstock.compiler.interpreter import run_graph, run_node
from penstock.compiler.ir import IntArray
from penstock.compiler.numerics import quantize

#: Elements of all tensors of the images that are compared at once.
CHUNK_ELEMENTS = 1 << 24


def check_graph(graph: ir.Graph, model: onnx.ModelProto, images: Array) -> CheckResult:
    """Compare the integer graph of a model with the model in onnxruntime.

    Each layer reads onnxruntime's integers, so that differences do not add up and the first one
    that is wrong is named; logits and decisions of gates are those of the whole network.

    Args:
        graph: what the importer made of `model`.
        model: the quantised network, from `prepare`.
        images: (N, C, H, W), N >= 1, as the model takes them: float32, or integers.

    Raises:
        PenstockError: onnxruntime is missing or cannot run the model.
    """
    made = {name for node in model.graph.node for name in node.output}
    named = [node.output for node in graph.nodes if graph.tensor(node.output) in made]
    compared = comparisons(graph, model)
    constants = {
        tensor.name: numpy_helper.to_array(tensor)[None] for tensor in model.graph.initializer
    }
    wanted = {graph.tensor(name) for name in named}
    wanted |= {name for pair in compared.values() for name in pair if name not in constants}
    reference = Reference(model, sorted(wanted))
    elements = sum(math.prod(value.shape) for value in graph.values.values())
    chunk = max(1, CHUNK_ELEMENTS // elements)
    tally = _Tally(graph, named, compared)
    for first in range(0, len(images), chunk):
        part = images[first : first + chunk]
        tally.add(_integers(graph, part), constants | reference.run(part))
    return tally.result()


def _integers(graph: ir.Graph, images: Array) -> IntArray:
    """Images as the graph reads them, quantised as the host does."""
    source = graph.values[graph.input]
    images = graph.head.run(images) if graph.head else images
    if images.dtype.kind in "iu":
        return images
    return quantize(images, source.scale, source.signed, source.zero_point)


@dataclasses.dataclass(slots=True)
class _Sums:
    """What is summed up of one tensor, over the images so far."""

    maximum: int = 0
    squares: float = 0.0
    energy: float = 0.0
    differ: int = 0
    values: int = 0
    beyond: int = 0
    shapes: tuple[tuple[int, ...], ...] = ()

    def add(self, got: IntArray, want: IntArray, allowed: Steps = 0) -> None:
        steps = np.abs(got.astype(np.int64) - want.astype(np.int64))
        self.maximum = max(self.maximum, int(steps.max(initial=0)))
        self.squares += float((steps.astype(np.float64) ** 2).sum())
        self.energy += float((want.astype(np.float64) ** 2).sum())
        self.differ += int((steps > 0).sum())
        self.values += steps.size
        self.beyond += int((steps > allowed).sum())

    @property
    def rms(self) -> float:
        """Relative; the differences' own where the tensor is zero."""
        return math.sqrt(self.squares / self.energy) if self.energy else math.sqrt(self.squares)


class _Tally:
    """Figures of a network, chunk by chunk."""

    def __init__(
        self, graph: ir.Graph, named: list[str], compared: Mapping[str, tuple[str, str]]
    ) -> None:
        self.graph = graph
        self.compared = compared
        self.images = 0
        self.layers = {name: _Sums() for name in named}
        self.logits = _Sums()
        self.disagreements = 0
        self.decisions = {
            node.output: [0, 0]
            for node in graph.nodes
            if isinstance(node, ir.Gate) and node.output in self.layers
        }

    def add(self, images: IntArray, tensors: Mapping[str, Array]) -> None:
        """Compare some images; `tensors` are onnxruntime's (N, 1, ...), constants (1, ...)."""
        self.images += len(images)
        whole = run_graph(self.graph, images)
        values = {self.graph.input: whole[self.graph.input]}
        real = {name: tensors[self.graph.tensor(name)] for name in self.layers}
        slack: dict[str, Steps] = {}
        known = Known(
            slack=slack,
            rounded=frozenset(name for name, array in real.items() if array.dtype.kind in "fb"),
            wide=frozenset(
                name for name, value in self.graph.values.items() if value.code_bytes == 2
            ),
            functions={
                node.output: FUNCTION_ERROR / self.graph.values[node.output].scale
                for node in self.graph.nodes
                if isinstance(node, ir.Lookup)
            },
            ties={
                name: near(tensors[left], tensors[right], whole[name].shape)
                for name, (left, right) in self.compared.items()
            },
        )
        for node in self.graph.nodes:
            name = node.output
            got = run_node(self.graph, node, values)
            allowed = allowed_steps(node, values, known)
            want = self._as_graph(name, real[name]) if name in real else None
            values[name] = got if want is None else want
            if want is None:
                slack[name] = allowed
                continue
            if isinstance(node, ir.Pool):
                slack[name] = unsure_averages(node, values)
            self.layers[name].add(got, want, allowed)
            if name in self.decisions:
                counts = self.decisions[name]
                counts[0] += int(((whole[name] > 0) != (want > 0)).sum())
                counts[1] += want.size
        self._add_logits(whole[self.graph.output], values[self.graph.output])

    def _as_graph(self, name: str, array: Array) -> IntArray | None:
        """onnxruntime's tensor as the graph has it; None if the shapes do not fit."""
        value = self.graph.values[name]
        shape = array.shape[1:]
        vector = len(value.shape) == 1 or value.shape[1:] == (1, 1)
        fits = _long(shape) == _long(value.shape) if vector else shape == (1, *value.shape)
        fits |= shape == (1, math.prod(value.shape))  # a map that the file has flattened
        if not fits:
            self.layers[name].shapes = (shape, (1, *value.shape))
            return None
        array = array.reshape(len(array), *value.shape)
        if not vector:
            array = np.flip(array, tuple(2 + i for i, t in enumerate(self.graph.mirrored) if t))
        if array.dtype.kind in "fb":  # a score, a maximum or a view without a quantiser
            wide = value.code_bytes == 2
            return quantize(array, value.scale, value.signed, value.zero_point, wide=wide)
        if array.dtype == (np.uint8 if value.signed else np.int8):  # other codes, moved by 128
            return (array.astype(np.int16) + (-128 if value.signed else 128)).astype(
                np.int8 if value.signed else np.uint8
            )
        return array

    def _add_logits(self, got: IntArray, want: IntArray) -> None:
        self.logits.add(got, want)
        ours, theirs = (each.reshape(len(each), -1).argmax(axis=1) for each in (got, want))
        self.disagreements += int((ours != theirs).sum())

    def result(self) -> CheckResult:
        """The figures."""
        nodes = {node.output: node for node in self.graph.nodes}
        return CheckResult(
            images=self.images,
            layers=tuple(
                LayerDifference(
                    layer=nodes[name].name,
                    op=type(nodes[name]).__name__,
                    tensor=self.graph.tensor(name),
                    maximum=sums.maximum,
                    rms=sums.rms,
                    share=sums.differ / max(sums.values, 1),
                    beyond=sums.beyond,
                    shapes=sums.shapes,
                )
                for name, sums in self.layers.items()
            ),
            unnamed=tuple(name for name in nodes if name not in self.layers),
            gates=tuple(
                GateFlips(gate=name, flips=flips, decisions=count)
                for name, (flips, count) in self.decisions.items()
            ),
            logits=LogitDifference(
                maximum=self.logits.maximum,
                rms=self.logits.rms,
                disagreements=self.disagreements,
            ),
        )


def _long(shape: tuple[int, ...]) -> list[int]:
    """The dimensions other than 1."""
    return [size for size in shape if size != 1]

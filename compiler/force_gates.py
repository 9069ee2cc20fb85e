"""A network whose gates give chosen scores, whatever the image: every one open, or a mask.

The gates still run: only their weights and parameters change, so their cost stays in the cycles.
`without_gates` leaves them out: the static network, which costs nothing but itself.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from penstock.compiler.estimate.activity import decode
from penstock.compiler.importer.graph.prune import prune_graph
from penstock.compiler.ir import Conv, Gate, Graph, Requantize
from penstock.compiler.numerics import SCORE_ONE
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.plan.weights import pack_gate_rows
from penstock.program.core.config import GATE_WORD_BYTES
from penstock.program.core.descriptor import Descriptor, GateKind, Op
from penstock.program.network.package import Package

Scores = npt.NDArray[np.uint8]


def _fixed_layer(scores: Scores, inputs: int) -> tuple[np.ndarray, np.ndarray, Requantize]:
    """Weights, bias and factors that give `scores` for every input.

    (2 s + 1) >> 1 is s; a binary gate gives 128 for any s > 0.  A sigmoid's table has not every s:
    it becomes a ReLU-1.
    """
    outputs = len(scores)
    factors = Requantize(multiplier=np.ones(outputs, np.uint16), shift=np.ones(outputs, np.uint8))
    return np.zeros((outputs, inputs), np.int8), 2 * scores.astype(np.int32), factors


def force_package_scores(package: Package, scores: Scores) -> Package:
    """The same program with other gate weights: the gates give `scores`, uint8 (score memory,), and
    128 where that has no more."""
    blob = np.frombuffer(package.weights, np.uint8).copy()
    scores = np.append(scores, np.full(_end(package), SCORE_ONE, np.uint8)[len(scores) :])
    loads: list[Descriptor] = []  # the last one first: streamed weights replace each other
    program = decode(package)
    for index, d in enumerate(program):
        if d.op == Op.GLOAD and not d.loads_table:
            loads.insert(0, d)
        if d.op != Op.GATE:
            continue
        image = pack_gate_rows(*_fixed_layer(scores[d.dst : d.dst + d.cout], d.cin))
        first = d.w_addr + GATE_WORD_BYTES
        load = next(item for item in loads if item.dst <= first < item.dst + item.length)
        at = load.w_addr + first - load.dst
        blob[at : at + len(image)] = image
        if d.score_kind == GateKind.SIGMOID:
            program[index] = Descriptor(values=d.values | {"variant": 0})
    descriptors = b"".join(d.encode() for d in program)
    return dataclasses.replace(package, descriptors=descriptors, weights=blob.tobytes())


def _end(package: Package) -> int:
    """Scores of a program, those that are in no record included."""
    return max((d.dst + d.cout for d in decode(package) if d.op == Op.GATE), default=0)


def force_package_open(package: Package) -> Package:
    """The same program with every score 128: nothing is skipped, the dense baseline."""
    count = sum(gate["count"] for gate in package.meta["gates"])
    return force_package_scores(package, np.full(count, SCORE_ONE, np.uint8))


def force_graph_open(graph: Graph) -> Graph:
    """The same for the integer graph."""
    nodes = []
    for node in graph.nodes:
        if isinstance(node, Gate):
            outputs, inputs = node.weight.shape
            opened = np.full(outputs, SCORE_ONE, np.uint8)
            weight, bias, factors = _fixed_layer(opened, inputs)
            kind = GateKind.BINARY if node.binary else GateKind.RELU1
            node = dataclasses.replace(
                node, weight=weight, bias=bias, requantize=factors, kind=kind
            )
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def without_gates(graph: Graph) -> Graph:
    """The network with neither gates nor their networks; its result is that of every score 128.

    A sigmoid that scales the network's own maps decides nothing: it stays.
    """
    analysis = Analysis(graph=graph)
    nodes = tuple(
        dataclasses.replace(node, fold=None)
        if isinstance(node, Conv) and analysis.mask(node) is not None
        else node
        for node in graph.nodes
    )
    return prune_graph(dataclasses.replace(graph, nodes=nodes))

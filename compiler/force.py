"""A network with every gate fully open: the dense baseline on the same Program."""

import dataclasses

import numpy as np

from penstock.compiler.activity import decode
from penstock.compiler.ir import Gate, Graph, Requantize
from penstock.compiler.numerics import SCORE_ONE
from penstock.compiler.weights import PARAMETER_BYTES, pack_rows, round_up
from penstock.program.config import BEAT_BYTES
from penstock.program.descriptor import Op
from penstock.program.package import Package


def _open_layer(outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray, Requantize]:
    """Weights, bias and factors that give 128 for every input, ReLU-1 and binary alike."""
    factors = Requantize(multiplier=np.ones(outputs, np.uint16), shift=np.ones(outputs, np.uint8))
    return np.zeros((outputs, inputs), np.int8), np.full(outputs, 2 * SCORE_ONE, np.int32), factors


def force_package_open(package: Package) -> Package:
    """The same program with other gate weights: every score is 128, nothing is skipped."""
    blob = np.frombuffer(package.weights, np.uint8).copy()
    descriptors = decode(package)
    loads = [d for d in descriptors if d.op == Op.GLOAD]
    for d in descriptors:
        if d.op != Op.GATE:
            continue
        image, _ = pack_rows(*_open_layer(d.cout, d.cin))
        first = d.w_addr + PARAMETER_BYTES
        load = next(item for item in loads if item.dst <= first < item.dst + item.length)
        at = load.w_addr + first - load.dst
        assert len(image) == d.cout * (PARAMETER_BYTES + round_up(d.cin, BEAT_BYTES))
        blob[at : at + len(image)] = image
    return dataclasses.replace(package, weights=blob.tobytes())


def force_graph_open(graph: Graph) -> Graph:
    """The same for the integer graph."""
    nodes = []
    for node in graph.nodes:
        if isinstance(node, Gate):
            weight, bias, factors = _open_layer(*node.weight.shape)
            node = dataclasses.replace(node, weight=weight, bias=bias, requantize=factors)
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))

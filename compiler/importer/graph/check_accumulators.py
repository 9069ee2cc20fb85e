"""Prove that no accumulator overflows."""

import numpy as np

from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from penstock.compiler.numerics import ACCUMULATOR_LIMIT


def check_accumulators(graph: ir.Graph) -> ir.Graph:
    """The graph itself, if sum(|w|) * max|x| + |bias| < 2^31 holds for every output.

    Any order of summation then stays within int32.

    Raises:
        CompileError: naming the node, the channel and the bound.
    """
    for node in graph.nodes:
        if isinstance(node, ir.Concat | ir.Frame | ir.Interleave | ir.Lookup):
            continue
        source = graph.values[node.input]
        largest = 128 if source.signed else 255
        if isinstance(node, ir.MapPool):
            bounds = np.array([largest * node.kernel**2])
        elif isinstance(node, ir.Pool):
            bounds = np.array([largest * source.shape[1] * source.shape[2]])
        else:
            weight = np.abs(node.weight.astype(np.int64)).reshape(len(node.bias), -1)
            bounds = weight.sum(axis=1) * largest + np.abs(node.bias.astype(np.int64))
        worst = int(np.argmax(bounds))
        if bounds[worst] >= ACCUMULATOR_LIMIT:
            raise CompileError(
                f"accumulator could overflow: channel {worst} can reach {int(bounds[worst])}, "
                f"the limit is {ACCUMULATOR_LIMIT - 1}",
                node=node.name,
                op=type(node).__name__,
                hint="fewer input channels, or a larger weight scale for that channel",
            )
    return graph

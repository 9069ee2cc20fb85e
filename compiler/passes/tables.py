"""Passes: every Lookup is part of the convolution before it, in whose epilogue the core has tables.

Where that convolution's result is read by others too, or no convolution makes it, one that leaves
every element as it is comes between.  A table behind what moves elements (a Concat, a Frame, an
Interleave, a maximum where the function never falls) is put before it, if that brings it to
convolutions.  Legal always; preserves every value but those that tables alone read.
"""

import dataclasses

import numpy as np

from penstock.compiler.ir import (
    Concat,
    Conv,
    Frame,
    Graph,
    IntArray,
    Interleave,
    Lookup,
    MapPool,
    Node,
    Pool,
    Requantize,
    Value,
)
from penstock.compiler.numerics import codes_of_bytes, type_range
from penstock.compiler.passes.analysis import Analysis
from penstock.compiler.passes.averages import identity_dense

#: What may only move the elements of its inputs.
Moves = Concat | Frame | Interleave | MapPool

#: Suffix of the name of a convolution that is there for a table alone.
SUFFIX = ".table"


def is_carrier(conv: Conv) -> bool:
    """Whether `place_tables` made the convolution."""
    return conv.name.endswith(SUFFIX) and conv.table is not None


def raise_tables(graph: Graph) -> Graph:
    """The graph with tables before what only moves their elements."""
    while True:
        analysis = Analysis(graph=graph)
        for node in graph.nodes:
            made = _raised(analysis, node) if isinstance(node, Lookup) else None
            if made is not None:
                graph = made
                break
        else:
            return graph


def place_tables(graph: Graph) -> Graph:
    """The graph without Tables: convolutions have them."""
    if not any(isinstance(node, Lookup) for node in graph.nodes):
        return graph
    analysis, values = Analysis(graph=graph), dict(graph.values)
    tables = [node for node in graph.nodes if isinstance(node, Lookup)]
    fused = {table.input: table for table in tables if _fuses(analysis, table)}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Conv) and node.output in fused:
            del values[node.output]
            nodes.append(_with_table(node, fused[node.output], graph))
        elif not isinstance(node, Lookup):
            nodes.append(node)
        elif node.input not in fused:
            nodes += _carried(node, analysis, values)
    return dataclasses.replace(graph, nodes=tuple(nodes), values=values)


def _alone(analysis: Analysis, table: Lookup) -> bool:
    """Whether the table is all that reads its input."""
    read = analysis.readers(table.input) == [table]
    return read and table.input not in analysis.graph.results


def _fuses(analysis: Analysis, table: Lookup) -> bool:
    made = analysis.producer.get(table.input)
    return isinstance(made, Conv) and made.table is None and _alone(analysis, table)


def _with_table(conv: Conv, table: Lookup, graph: Graph) -> Conv:
    """The convolution with the table, and its bounds in the table where the core takes the result's
    type from the lower one."""
    signed = graph.values[table.output].signed
    low, high = conv.clamp
    codes = np.clip(codes_of_bytes(signed), low, high)
    clamp = (min(low, -1), high) if signed else conv.clamp
    entries = table.entries[codes & 0xFF]
    return dataclasses.replace(conv, output=table.output, clamp=clamp, table=entries)


def _carried(table: Lookup, analysis: Analysis, values: dict[str, Value]) -> list[Node]:
    """A convolution that has the table and does nothing else; of a vector, on one pixel."""
    nodes: list[Node] = []
    source = values[table.input]
    if isinstance(pool := analysis.producer.get(table.input), Pool):
        name = table.output + SUFFIX
        dense = identity_dense(pool, table.input, name, source)
        nodes.append(dense)
        source = values[name] = dataclasses.replace(source, name=name)
    channels = source.shape[0]
    for name in (source.name, table.output):
        values[name] = dataclasses.replace(values[name], shape=(*values[name].shape, 1, 1)[:3])
    conv = Conv(
        name=table.output + SUFFIX,
        input=source.name,
        output=table.output,
        weight=np.ones((channels, 1, 1, 1), np.int8),
        bias=np.zeros(channels, np.int32),
        requantize=Requantize(
            multiplier=np.full(channels, 1 << 15, np.uint16), shift=np.full(channels, 15, np.uint8)
        ),
        stride=1,
        clamp=type_range(source.signed),
        groups=channels,
        table=table.entries,
    )
    return [*nodes, conv]


def _raised(analysis: Analysis, table: Lookup) -> Graph | None:
    """The graph with the table before the node whose result it reads; None if that stays."""
    made = analysis.producer.get(table.input)
    if not isinstance(made, Moves) or not _alone(analysis, table):
        return None
    sources = made.inputs if isinstance(made, Concat) else (made.input,)
    if len(set(sources)) < len(sources) or not all(_free(analysis, s, made) for s in sources):
        return None
    values = dict(analysis.graph.values)
    result = values[table.output]
    before: list[Lookup] = []
    for index, source in enumerate(sources):
        name = f"{table.output}{SUFFIX}{index}"
        values[name] = dataclasses.replace(result, name=name, shape=values[source].shape)
        before.append(dataclasses.replace(table, input=source, output=name))
    names = tuple(each.output for each in before)
    moved: Node
    if isinstance(made, Concat):
        moved = dataclasses.replace(made, inputs=names, output=table.output)
    elif isinstance(made, Frame):
        fill = int(table.entries[made.fill & 0xFF])
        moved = dataclasses.replace(made, input=names[0], output=table.output, fill=fill)
    elif isinstance(made, Interleave):
        moved = dataclasses.replace(made, input=names[0], output=table.output)
    elif made.average is None and _rises(analysis, table, made):
        clamp = type_range(result.signed)
        moved = dataclasses.replace(made, input=names[0], output=table.output, clamp=clamp)
    else:
        return None
    del values[table.input]
    nodes: list[Node] = []
    for node in analysis.graph.nodes:
        if node is made:
            nodes += [*before, moved]
        elif node is not table:
            nodes.append(node)
    return dataclasses.replace(analysis.graph, nodes=tuple(nodes), values=values)


def _free(analysis: Analysis, value: str, reader: Node) -> bool:
    """Whether a convolution without a table makes a value for that one reader, or what moves it."""
    made = analysis.producer.get(value)
    if analysis.readers(value) != [reader] or value in analysis.graph.results:
        return False
    return isinstance(made, Moves) or (isinstance(made, Conv) and made.table is None)


def _rises(analysis: Analysis, table: Lookup, pool: MapPool) -> bool:
    """Whether a maximum, which clamps nothing, is the same before the table."""
    low, high = analysis.range(pool.input)
    free = pool.clamp[0] <= low and high <= pool.clamp[1]
    codes: IntArray = np.arange(low, high + 1)
    return free and bool((np.diff(table.entries[codes & 0xFF].astype(np.int64)) >= 0).all())

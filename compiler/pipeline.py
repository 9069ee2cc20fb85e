"""The back end as one visible list of passes: Graph -> Plan -> Allocation -> Package."""

from penstock.compiler.allocate import allocate, fits
from penstock.compiler.concat import flatten_concats, place_concats
from penstock.compiler.duplicate import duplicate_residuals
from penstock.compiler.ir import Graph
from penstock.compiler.lower import lower
from penstock.compiler.order import order_siblings
from penstock.compiler.parts import split_expansions, split_groups
from penstock.compiler.schedule import schedule_graph
from penstock.compiler.stream import stream_gates
from penstock.compiler.subsample import subsample
from penstock.compiler.vectors import pool_vectors
from penstock.program.config import HwConfig
from penstock.program.package import Package

#: Graph -> Graph, in the order in which they run.
GRAPH_PASSES = (
    pool_vectors,
    flatten_concats,
    subsample,
    order_siblings,
    place_concats,
    duplicate_residuals,
)


def compile_graph(
    graph: Graph, config: HwConfig, schedule: str = "sequential", *, reshape: bool = True
) -> Package:
    """The Program of an integer graph; without `reshape` for the array in its base shape alone.

    Raises:
        CompileError: the network does not fit `config`, or the schedule is unknown.
    """
    for graph_pass in GRAPH_PASSES:
        graph = graph_pass(graph)
    plan = split_groups(schedule_graph(graph, schedule), config)
    if not fits(plan, config):  # a map that is cleared is not made in parts
        plan = split_groups(schedule_graph(graph, schedule, clear=False), config)
    plan = stream_gates(split_expansions(plan, config), config)
    return lower(plan, allocate(plan, config), config, reshape=reshape)

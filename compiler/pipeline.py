"""The back end as one visible list of passes: Graph -> Plan -> Allocation -> Package."""

from penstock.compiler.choose_stacks import batch_images, require_gain
from penstock.compiler.emit.descriptors import lower
from penstock.compiler.emit.legal import check_rules
from penstock.compiler.estimate.first_groups import first_groups
from penstock.compiler.ir import Graph
from penstock.compiler.passes.averages import store_averages
from penstock.compiler.passes.concat import flatten_concats, place_concats
from penstock.compiler.passes.crop_interleaves import crop_interleaves
from penstock.compiler.passes.duplicate_residuals import duplicate_residuals
from penstock.compiler.passes.order_siblings import order_siblings
from penstock.compiler.passes.pool_vectors import pool_vectors
from penstock.compiler.passes.subsample import read_planes, subsample
from penstock.compiler.passes.tables import place_tables, raise_tables
from penstock.compiler.plan.allocate import allocate, fits
from penstock.compiler.plan.parts import split_expansions, split_groups
from penstock.compiler.plan.schedule import schedule_graph
from penstock.compiler.plan.share_scores import share_scores
from penstock.compiler.plan.steps import Plan
from penstock.compiler.plan.stream_gates import stream_gates
from penstock.program.core.config import HwConfig
from penstock.program.network.package import Package

#: Graph -> Graph, in the order in which they run.
GRAPH_PASSES = (
    raise_tables,
    place_tables,
    store_averages,
    pool_vectors,
    flatten_concats,
    crop_interleaves,
    read_planes,
    subsample,
    order_siblings,
    place_concats,
    duplicate_residuals,
)


def plan_graph(
    graph: Graph, config: HwConfig, schedule: str = "sequential", *, paired: bool = True
) -> Plan:
    """The plan of one image, before what depends on the feature memory alone.

    `paired`: maps that are added at scales of their own may lie in turn.

    Raises:
        CompileError: the schedule is unknown, or the network not one that the core can run.
    """
    for graph_pass in GRAPH_PASSES:
        graph = graph_pass(graph)
    # What takes fewer cycles takes more memory: a map that is cleared is not made in parts, and
    # maps that lie in turn are one from the first's to the last's.
    for clear, turns in ((True, paired), (False, paired), (True, False), (False, False)):
        scheduled = schedule_graph(graph, schedule, clear=clear, paired=turns)
        plan = split_groups(scheduled, config)
        if fits(plan, config):
            break
    return stream_gates(plan, config)


def compile_graph(
    graph: Graph,
    config: HwConfig,
    schedule: str = "sequential",
    *,
    reshape: bool = True,
    images: int = 1,
) -> Package:
    """The Program of an integer graph, for `images` images a run.

    Without `reshape` for the array in its base shape alone.

    Raises:
        CompileError: the network does not fit `config`, or the schedule is unknown; see
            `batch_images` for several images.
        PenstockError: the program breaks a rule of the core, a fault of the compiler's.
    """
    plan = plan_graph(graph, config, schedule, paired=images == 1)
    if images == 1:
        plan = share_scores(split_expansions(plan, config), config)
    else:
        plan = batch_images(plan, images, config, reshape=reshape)
    allocation = allocate(plan, config)
    package = lower(plan, allocation, config, reshape=reshape)
    modes = first_groups(package) if reshape else {}
    if modes:
        package = lower(plan.with_first_groups(modes), allocation, config, reshape=reshape)
    check_rules(package, config)
    if images > 1:
        require_gain(package, compile_graph(graph, config, schedule, reshape=reshape), images)
    return package

"""Programs for several images whose layers are stacked as a test wants it, whatever it costs."""

import numpy as np

from penstock.compiler.choose_stacks import fitted
from penstock.compiler.emit.descriptors import lower
from penstock.compiler.errors import CompileError
from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import plan_graph
from penstock.compiler.plan.allocate import allocate
from penstock.compiler.plan.stack_images import kinds
from penstock.compiler.plan.steps import Plan
from penstock.program.core.config import HwConfig
from penstock.program.network.package import Package


def stacked_plan(
    graph: Graph,
    config: HwConfig,
    images: int,
    rng: np.random.Generator | None = None,
    *,
    in_step: bool = False,
) -> Plan:
    """The plan with every kind of layer stacked that can be, or with `rng` some of them.

    Raises:
        CompileError: `config` has no room for it.
    """
    plan = plan_graph(graph, config, paired=False)
    chosen = [kind for kind in kinds(plan) if rng is None or rng.random() < 0.7]
    found = fitted(plan, images, frozenset(chosen), config, in_step=in_step)
    if found is None:
        raise CompileError("no room for so many images")
    return found


def stacked_package(
    graph: Graph,
    config: HwConfig,
    images: int,
    *,
    rng: np.random.Generator | None = None,
    reshape: bool = True,
    in_step: bool = False,
) -> Package:
    """The Program of `stacked_plan`."""
    plan = stacked_plan(graph, config, images, rng, in_step=in_step)
    return lower(plan, allocate(plan, config), config, reshape=reshape)

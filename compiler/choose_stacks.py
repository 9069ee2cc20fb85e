"""Which layers of a plan for several images a run are stacked: what the cost model says.

Layers of a kind - pixels of the map, kernel, depthwise or not - are stacked together
(compiler/plan/stack_images.py).  From the smallest maps on, each kind is kept that makes the run
shorter, up to a size of maps that has none.  All other layers run image by image, or in step where
that is shorter and there is room.  While one image runs, maps of others wait in the
feature memory: large expansions are made in more parts where that leaves them the room.
"""

import itertools

import numpy as np

from penstock.compiler.emit.descriptors import lower
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.cost import predict_memory
from penstock.compiler.estimate.timing import Timing
from penstock.compiler.plan.allocate import allocate, feature_bytes
from penstock.compiler.plan.parts import split_expansions
from penstock.compiler.plan.stack_images import Kind, kinds, require_static, stack_images, too_high
from penstock.compiler.plan.steps import Plan
from penstock.program.core.config import HwConfig
from penstock.program.network.package import Package

#: Images a run at most: results lie in one record, and a listing should still be read.
MAX_IMAGES = 64

#: How often expansions are made smaller to leave room for other images' maps.
TRIES = 8


def batch_images(plan: Plan, images: int, config: HwConfig, *, reshape: bool = True) -> Plan:
    """The plan for `images` images a run (2 .. MAX_IMAGES).

    Raises:
        CompileError: no such number, the network has gates or exits, or the maps of so many images
            do not fit: says how many do.
    """
    if not 2 <= images <= MAX_IMAGES:
        raise CompileError(f"a program for {images} images a run", hint=f"1 to {MAX_IMAGES}")
    require_static(plan)
    none: frozenset[Kind] = frozenset()
    best, chosen = fitted(plan, images, none, config), none
    least = None if best is None else cycles(best, config, reshape=reshape)
    fit: list[bool] = []
    for _, alike in itertools.groupby(kinds(plan), lambda kind: kind.pixels):
        before = chosen
        for kind in alike:
            more = fitted(plan, images, chosen | {kind}, config)
            fit.append(more is not None)
            taken = None if more is None else cycles(more, config, reshape=reshape)
            if taken is not None and (least is None or taken < least):
                best, chosen, least = more, chosen | {kind}, taken
        if chosen == before:
            break
    # In step: what waits for weights waits once for all images.
    together = fitted(plan, images, chosen, config, in_step=True)
    if together is not None:
        taken = cycles(together, config, reshape=reshape)
        if least is None or taken < least:
            best, least = together, taken
    if best is None or (fit and not any(fit)):
        raise CompileError(
            f"the maps of {images} images do not fit the {config.fmem_bytes} bytes of feature "
            f"memory of '{config.name}' side by side",
            hint=_most(plan, images, config),
        )
    return best


def require_gain(several: Package, one: Package, images: int) -> None:
    """CompileError if a program for several images takes as long as one for each."""
    if run_cycles(several) >= images * run_cycles(one):
        raise CompileError(
            f"the network takes no fewer cycles for {images} images at a time",
            hint="compile it for one image a run; what gains are layers with small maps",
        )


def fitted(
    plan: Plan,
    images: int,
    stacked: frozenset[Kind],
    config: HwConfig,
    *,
    in_step: bool = False,
) -> Plan | None:
    """The plan for several images, its expansions in parts such that it fits; None: it does not."""
    room = config.fmem_bytes
    for _ in range(TRIES):
        one = split_expansions(plan, config, room)
        several = stack_images(one, images, stacked, in_step=in_step)
        over = feature_bytes(several, config) - config.fmem_bytes
        if over <= 0:
            return None if too_high(several) else several
        room = min(room, feature_bytes(one, config)) - over
    return None


def cycles(plan: Plan, config: HwConfig, *, reshape: bool = True) -> int:
    """Cycles of a run that follows another one (the cost model's)."""
    return run_cycles(lower(plan, allocate(plan, config), config, reshape=reshape))


def run_cycles(package: Package) -> int:
    """The same of a program without gates."""
    return int(predict_memory(package, np.zeros((2, 0), np.uint8), Timing()).cycles[1])


def _most(plan: Plan, images: int, config: HwConfig) -> str:
    """How many images can be stacked."""
    for fewer in range(images - 1, 1, -1):
        if any(fitted(plan, fewer, frozenset({kind}), config) for kind in kinds(plan)):
            return f"{fewer} images do"
    return "not even 2 images do: choose a larger configuration"

"""Results come from this run: nothing of an earlier one is left in the buffers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.program.core.registers import OFFSETS
from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore

Opener = Callable[..., Any]


def test_nothing_is_left_of_an_earlier_run(
    open_overlay: Opener, package: Package, vectors: Any
) -> None:
    """A core that writes every byte in its first two runs and none in the next two."""

    def fill(memory: Any, base: int, registers: dict[int, int]) -> None:
        if core.runs <= 2:
            at = registers[OFFSETS["output"]] - base
            size = registers[OFFSETS["n_images"]] * registers[OFFSETS["output_stride"]]
            memory[at : at + size] = 0xA5

    core = ScriptedCore(fill)
    with open_overlay(core).load(package, batch=4) as net:
        assert (net.run(vectors.images[:8]) == 0xA5).all()
        assert not net.run(vectors.images[:8]).any()


def test_results_outlive_the_next_call(
    open_overlay: Opener, rtl_core: Any, package: Package, vectors: Any
) -> None:
    with open_overlay(rtl_core).load(package) as net:
        first = net(vectors.images[:3])
        trace, kept = net.trace, first.copy()
        net(vectors.images[3:6])
        assert (first == kept).all()
        assert vectors.differing(trace.records).sum() == 0
        assert np.shares_memory(trace.records, net.trace.records) is False

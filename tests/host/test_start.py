"""What the core is told when it is started, and what the driver remembers of it."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock.host import CoreTimeoutError, ImageError
from penstock.program.core.registers import OFFSETS
from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore
from penstock.sim.board.memory import SimulatedMemory

Opener = Callable[..., Any]


class Looking(ScriptedCore):
    """Keeps the bytes that its program and weight pointers point at."""

    def __init__(self, package: Package) -> None:
        super().__init__(self.look)
        self.sizes = {"program": len(package.descriptors), "weights": len(package.weights)}
        self.seen: dict[str, bytes] = {}

    def look(self, memory: Any, base: int, registers: dict[int, int]) -> None:
        for name, size in self.sizes.items():
            at = registers.get(OFFSETS[name], 0) | registers.get(OFFSETS[name] + 4, 0) << 32
            self.seen[name] = bytes(memory[at - base : at - base + size]) if at >= base else b""


@pytest.mark.parametrize("base", [0x1000_0000, 0x8_0000_0000], ids=["low", "above 4 GiB"])
def test_pointers(open_overlay: Opener, package: Package, vectors: Any, base: int) -> None:
    core = Looking(package)
    open_overlay(core, memory=SimulatedMemory(base=base)).load(package)(vectors.images[:1])
    assert core.seen == {"program": package.descriptors, "weights": package.weights}


def test_everything_is_written_again_after_a_restart(
    open_overlay: Opener, package: Package, vectors: Any
) -> None:
    core = Looking(package)
    net = open_overlay(core).load(package, timeout=0.02)
    core.hang = True
    with pytest.raises(CoreTimeoutError):
        net(vectors.images[:1])
    core.hang, core.seen = False, {}
    net(vectors.images[:1])
    assert core.seen["program"] == package.descriptors


def test_looking_at_the_state_does_not_lose_the_end(
    open_overlay: Opener, package: Package, vectors: Any
) -> None:
    """AP_CTRL clears ap_done when it is read."""
    overlay = open_overlay(ScriptedCore(), interrupt=False)
    overlay.load(package)(vectors.images[:1])
    overlay.core.start({})
    assert overlay.core.state().idle
    overlay.core.wait(0.05)


def test_an_image_error_waits_for_the_batch_that_runs(
    open_overlay: Opener, package: Package, vectors: Any
) -> None:
    core = ScriptedCore()
    net = open_overlay(core).load(package, batch=4)
    images = vectors.images[:8].copy()
    images[7, 0, 0, 0] = float("nan")
    core.delay = 50_000
    with pytest.raises(ImageError, match="image 7"):
        net(images)
    net(vectors.images[:8])
    assert core.runs == 3

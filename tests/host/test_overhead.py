"""What the driver itself costs, measured with a core that is done at once."""

import dataclasses
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore

Opener = Callable[..., Any]
BATCH = 64
LIMIT_US = 200


def large(package: Package) -> Package:
    """The same program, for images of CIFAR's size: the null core does not look at it."""
    image = {**package.meta["input"], "shape": [3, 32, 32], "bytes": 3072}
    image.pop("pixels", None)  # of the channels that the program had
    return dataclasses.replace(package, meta={**package.meta, "input": image})


@pytest.mark.parametrize("size", ["8 x 8", "3 x 32 x 32"])
@pytest.mark.parametrize("interrupt", [False, True], ids=["polling", "interrupt"])
def test_overhead_of_an_image(
    open_overlay: Opener, package: Package, vectors: Any, interrupt: bool, size: str
) -> None:
    """At most 200 microseconds an image in a batch of 64: quantise, copy, flush, start, decode."""
    program = package if size == "8 x 8" else large(package)
    images = np.resize(vectors.images, (BATCH, *program.meta["input"]["shape"]))
    with open_overlay(ScriptedCore(), interrupt=interrupt).load(program, batch=BATCH) as net:
        net(images)
        times = []
        for _ in range(20):
            started = time.perf_counter()
            net(images)
            times.append(time.perf_counter() - started)
    median = sorted(times)[len(times) // 2] / BATCH * 1e6
    print(f"{size}: median {median:.1f} us an image")
    assert median <= LIMIT_US


def test_nothing_is_allocated_an_image(
    open_overlay: Opener, package: Package, vectors: Any
) -> None:
    """As many allocations for 64 images as for 2, one array each for records and logits apart."""
    peaks = []
    with open_overlay(ScriptedCore(), interrupt=False).load(package, batch=BATCH) as net:
        for count in (2, BATCH):
            images = np.resize(vectors.images, (count, *vectors.images.shape[1:]))
            net(images)
            tracemalloc.start()
            before = tracemalloc.take_snapshot()
            net.run(images)
            after = tracemalloc.take_snapshot()
            tracemalloc.stop()
            changes = after.compare_to(before, "lineno")
            peaks.append(sum(c.count_diff for c in changes if c.count_diff > 0))
    assert peaks[1] <= peaks[0] + 5, peaks

"""Networks of every family take turns on one core: no bitstream and no reset between them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from penstock.host.vectors import Vectors
from penstock.program.network.package import Package

Opener = Callable[..., Any]
TURNS = 5


def part(vectors: Vectors, first: int, count: int) -> Vectors:
    """Some images with what must come out."""
    chosen = slice(first, first + count)
    return Vectors(vectors.images[chosen], vectors.labels[chosen], vectors.results[chosen])


@pytest.mark.parametrize("interrupt", [True, False], ids=["interrupt", "polling"])
def test_families_take_turns(
    open_overlay: Opener,
    rtl_core: Any,
    families: dict[str, tuple[Package, Vectors]],
    interrupt: bool,
) -> None:
    """Each turn runs one or two images of every network, in another order."""
    overlay = open_overlay(rtl_core, interrupt=interrupt)
    loaded = overlay.device.downloads
    nets = {name: overlay.load(package, batch=2) for name, (package, _) in families.items()}
    order = np.random.default_rng(1)
    skipped = dict.fromkeys(families, 0)
    early: dict[str, list[bool]] = {}
    for turn in range(TURNS):
        for name in order.permutation(list(families)):
            wanted = part(families[name][1], 2 * turn, 1 + turn % 2)
            records = nets[name].run(wanted.images)
            assert wanted.differing(records).sum() == 0, f"{name}, turn {turn}"
            skipped[name] += int(nets[name].trace.counters["skipped"].sum())
            skipped[name] += int(nets[name].trace.channels_skipped.sum())
            left = nets[name].trace.exits < len(families[name][0].meta["exits"])
            early[name] = [*early.get(name, []), *left]
    for name, (package, _) in families.items():
        if package.meta["exits"]:  # some images end early, and not all
            assert 0 < sum(early[name]) < len(early[name]), name
        else:
            assert skipped[name], name
    assert overlay.device.downloads == loaded
    assert rtl_core.bad_accesses == 0
    for net in nets.values():
        net.close()
    assert overlay.device.memory.used == 0


def test_shapes_differ(families: dict[str, tuple[Package, Vectors]]) -> None:
    """Otherwise little would change between two turns."""
    gated = {"lc", "skipnet1", "skipnet2", "blockdrop", "aig", "acs", "acsdg", "acsdg-se", "fbs"}
    assert set(families) == gated | {"iadi", "moe", "exits", "stages", "dense", "wide"}
    shapes = {tuple(package.meta["input"]["shape"]) for package, _ in families.values()}
    assert len(shapes) > 2

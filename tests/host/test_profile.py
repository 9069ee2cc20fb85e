"""`net.profile()` draws what the trace says."""

import dataclasses
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np

from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore

mpl.use("Agg")

Opener = Callable[..., Any]


def test_three_plots(open_overlay: Opener, rtl_core: Any, package: Package, vectors: Any) -> None:
    with open_overlay(rtl_core).load(package) as net:
        net(vectors.images[:20])
        figure = net.profile(vectors.labels[:20])
    heat, latency, causes, _ = figure.axes
    image = heat.images[0].get_array()
    assert (image == net.trace.skip_rate(vectors.labels[:20])[1]).all()
    assert len(latency.lines) >= 4 * 5  # a box, two whiskers, two caps, a median: four times
    widths = sorted(bar.get_width() for bar in causes.patches)
    assert np.isclose(widths[-1], net.trace.counters["mac"].mean())


def test_network_without_gates(open_overlay: Opener, package: Package, vectors: Any) -> None:
    plain = dataclasses.replace(package, meta={**package.meta, "gates": []})
    with open_overlay(ScriptedCore()).load(plain) as net:
        net.run(vectors.images[:3])
        figure = net.profile()
    assert figure.axes[0].get_title() == "the network has no gates"

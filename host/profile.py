"""Plots of a trace.  matplotlib is part of a PYNQ image and is imported only here, when asked."""

from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.host.trace import Trace
from penstock.program.base.optional import require


def heat_map(axes: Any, trace: Trace, labels: npt.NDArray[Any]) -> None:
    """Class x gate output: how often it was closed (LC-Net, Fig. 7)."""
    classes, rates = trace.skip_rate(labels)
    image = axes.imshow(rates, aspect="auto", vmin=0, vmax=1, cmap="viridis", origin="lower")
    axes.set_yticks(range(len(classes)), [str(c) for c in classes])
    edge = 0
    for gate in trace.meta["gates"][:-1]:
        edge += gate["count"]
        axes.axvline(edge - 0.5, color="white", linewidth=0.5)
    axes.set(
        xlabel="gate outputs, gate after gate", ylabel="class", title="share of images skipped"
    )
    axes.figure.colorbar(image, ax=axes)


def margins(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Lead of the best class over the second, [N]: small means a hard image."""
    best = np.sort(logits, axis=1)
    return best[:, -1] - best[:, -2]


def latency(axes: Any, trace: Trace, logits: npt.NDArray[np.float32], groups: int = 4) -> None:
    """Cycles an image, in `groups` of equal size from the hardest images to the easiest."""
    order = np.argsort(margins(logits), kind="stable")
    parts = [part for part in np.array_split(order, groups) if len(part)]
    images = trace.meta["images"]  # of a run: each has its share
    axes.boxplot([trace.cycles[part // images] / images for part in parts])
    names = [f"{i + 1}/{len(parts)}" for i in range(len(parts))]
    axes.set_xticks(range(1, len(parts) + 1), names)
    axes.set(xlabel="from hard to easy (lead of the best class)", ylabel="cycles an image")


def where_cycles_go(axes: Any, trace: Trace) -> None:
    """Mean cycles by cause; `mac` is the work, the rest what it costs besides."""
    causes = ("mac", "weight_wait", "drain", "gate", "copy", "io", "overhead")
    counters, images = trace.counters, trace.meta["images"]
    axes.barh(causes[::-1], [float(counters[name].mean()) / images for name in causes[::-1]])
    axes.set(xlabel="cycles an image")


def profile(
    trace: Trace, logits: npt.NDArray[np.float32], labels: npt.NDArray[Any] | None = None
) -> Any:
    """One figure of the three plots; `labels` default to what the network says."""
    plt = require("matplotlib.pyplot")
    figure, axes = plt.subplots(3, 1, figsize=(9, 10), layout="constrained")
    if trace.meta["gates"]:
        heat_map(axes[0], trace, logits.argmax(axis=1) if labels is None else labels)
    else:
        axes[0].set_title("the network has no gates")
    latency(axes[1], trace, logits)
    where_cycles_go(axes[2], trace)
    return figure

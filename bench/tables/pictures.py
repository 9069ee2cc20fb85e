"""The pictures of the trained networks, from bench/results/zoo/*.json (`penstock bench pictures`).

Accuracy against MACs, easiest and hardest images and the class x channel activity follow figures
5, 6 and 7 of the LC-Net paper; the histogram of cycles is what the gates mean in time.
"""

import base64
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import rich_click as click

from penstock.bench.figures import ROOT
from penstock.bench.tables.zoo import PUBLISHED, how_it_runs, integer_accuracy, stored

FOLDER = ROOT / "docs" / "images"
CLASSES = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
GATED, DENSE, OTHER = "#1b6ca8", "#666666", "#c8702a"
MARKERS = {"sequential": "o", "parallel": "s", "exits": "^", "no gates": "D"}


def accuracy_against_macs(results: list[dict[str, Any]]) -> None:
    """Figure 5: ours and, marked apart, the published points of the paper."""
    figure, axes = plt.subplots(figsize=(6.4, 4.0))
    for result in results:
        for schedule, figures in result["schedules"].items():
            macs = figures["macs"]["executed"] / 1e6
            accuracy = 100 * integer_accuracy(result["card"])
            how = how_it_runs(result, schedule)
            kind = how.partition(":")[0]
            color = DENSE if kind == "no gates" else GATED
            label = f"{result['name']}, {how}"
            axes.plot(macs, accuracy, MARKERS[kind], color=color, ms=8, ls="", label=label)
    for network, flops, accuracy in PUBLISHED:
        axes.plot(1e3 * flops, accuracy, "x", color=OTHER, ms=7)
        axes.annotate(
            network.replace(" (", "\n("),
            (1e3 * flops, accuracy),
            (4, 4),
            textcoords="offset points",
            fontsize=7,
        )
    axes.plot(
        [], [], "x", color=OTHER, ls="", label="published, original CIFAR-10 (LC-Net, table 1)"
    )
    axes.set(
        xscale="log",
        xlabel="MACs an image, millions (gates not counted)",
        ylabel="test accuracy, %",
        title="Accuracy against MACs: ours on CIFAR-10 (JPEG q75), int8",
        ylim=(None, 97),
    )
    axes.set_xlim(10, 1200)
    axes.set_xticks(ticks := (10, 20, 50, 100, 200, 500, 1000), [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=7, loc="lower right")
    axes.grid(alpha=0.3)
    save(figure, "accuracy-macs.png")


def easy_and_hard(result: dict[str, Any]) -> None:
    """Figure 6: the images with the fewest and the most executed MACs."""
    groups = ("easiest", "hardest")
    columns = len(result[groups[0]])
    figure, grid = plt.subplots(2, columns, figsize=(1.15 * columns, 3.1))
    for group, row in zip(groups, grid, strict=True):
        for image, axes in zip(result[group], row, strict=True):
            raw = np.frombuffer(base64.b64decode(image["pixels"]), np.uint8).reshape(3, 32, 32)
            axes.imshow(raw.transpose(1, 2, 0))
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlabel(f"{CLASSES[image['label']]}\n{image['macs'] / 1e6:.1f} M", fontsize=7)
        row[0].set_ylabel(f"{group}", fontsize=8)
    figure.suptitle(f"{result['name']}: images with the fewest and the most MACs", fontsize=9)
    save(figure, f"{result['name']}-images.png")


def channel_activity(result: dict[str, Any]) -> None:
    """Figure 7: how often each class keeps each channel, every channel gate of the network."""
    gates = {name: np.array(v) for name, v in result["activity"].items() if len(v[0]) > 1}
    figure, axes = plt.subplots(figsize=(9.5, 2.9))
    joined = np.concatenate(list(gates.values()), axis=1)
    picture = axes.imshow(
        100 * joined, aspect="auto", cmap="viridis", vmin=0, vmax=100, interpolation="nearest"
    )
    edges = np.cumsum([v.shape[1] for v in gates.values()])
    for edge in edges[:-1]:
        axes.axvline(edge - 0.5, color="white", lw=1)
    centres = [edge - v.shape[1] / 2 for edge, v in zip(edges, gates.values(), strict=True)]
    axes.set_xticks(centres, [str(i) for i in range(len(gates))], fontsize=7)
    axes.set_yticks(range(len(CLASSES)), CLASSES, fontsize=7)
    axes.set_xlabel("channel gates of block", fontsize=8)
    axes.set_title(f"{result['name']}: % of the images of a class that keep a channel", fontsize=9)
    figure.colorbar(picture, ax=axes, pad=0.01)
    save(figure, f"{result['name']}-channels.png")


def cycle_histogram(result: dict[str, Any]) -> None:
    """Cycles an image in both schedules, the dense run as a line."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2))
    colours = {"sequential": GATED, "parallel": OTHER}
    for schedule, figures in result["schedules"].items():
        cycles = np.array(figures["image_cycles"]) / 1e3
        axes.hist(cycles, bins=40, alpha=0.65, color=colours[schedule], label=schedule)
    dense = next(iter(result["schedules"].values()))["cycles"]["dense"] / 1e3
    axes.axvline(dense, color=DENSE, ls="--", label="every gate open")
    axes.set(
        xlabel=f"thousand cycles an image ({result['config']}, rtl-sim)",
        ylabel="images",
        title=f"{result['name']}: cycles of {result['images']:,} test images",
        xlim=(0, None),
    )
    axes.legend(fontsize=8)
    save(figure, f"{result['name']}-cycles.png")


def save(figure: Any, name: str) -> None:
    """Write a picture."""
    FOLDER.mkdir(exist_ok=True)
    figure.tight_layout()
    figure.savefig(FOLDER / name, dpi=110, metadata={"Software": None})
    plt.close(figure)
    print(f"docs/images/{name}")


@click.command()
def main() -> None:
    """Draw the pictures of docs/images anew from bench/results/zoo."""
    results = stored()
    accuracy_against_macs(results)
    for result in results:
        if "activity" in result:
            easy_and_hard(result)
            channel_activity(result)
            cycle_histogram(result)

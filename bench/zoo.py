"""`penstock bench zoo`: a trained network of the zoo on real images, on the core.

Every image goes through golden and the simulated core: as the gates and exits decide, in the
sequential and in the parallel schedule, and dense, with every gate open and no exit taken. The
figures of every image are stored in bench/results/zoo/NAME.json, from which the
table of docs/results/zoo.md and the pictures are made.
"""

import base64
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.bench.figures import RESULTS, ratios
from penstock.bench.options import data_option, images_option, store_option
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.engines import Memory, Run, build_engines, mismatches, run_engine
from penstock.model.data.dataset import Dataset
from penstock.model.data.load import load_dataset
from penstock.model.zoo import zoo_card, zoo_names, zoo_onnx
from penstock.program.base.files import write_text
from penstock.program.core.config import get_config
from penstock.progress import step

STORE = RESULTS / "zoo"
CONFIG = "z7020"
SCHEDULES = ("sequential", "parallel")
DENSE = "dense"
NEVER = 2.0  # a threshold that no confidence reaches
EXTREMES = 8  # images with the fewest and with the most MACs that are kept as pixels


def compiled_as(name: str, label: str) -> CompiledNetwork:
    """A network in a schedule, or "dense": every gate open and no exit taken."""
    config = get_config(CONFIG)
    if label != DENSE:
        return compile_onnx(zoo_onnx(name), config, label)
    compiled = compile_onnx(zoo_onnx(name), config, SCHEDULES[0])
    exits = len(compiled.package.meta["exits"])
    return compiled.force_gates_open().with_thresholds([NEVER] * exits)


def run_both(name: str, label: str, images: npt.NDArray[np.float32]) -> tuple[Run, Run]:
    """Golden's run and the core's of all images."""
    compiled = compiled_as(name, label)
    runs = []
    for engine in ("golden", "rtl"):
        with step(f"{label}, {engine}, {len(images)} images") as progress:
            runs.append(run_engine(engine, compiled, images, Memory(), progress))
    return runs[0], runs[1]


def run_labels(
    name: str, labels: Sequence[str], images: npt.NDArray[np.float32], jobs: int
) -> dict[str, tuple[Run, Run]]:
    """`run_both` of every label, `jobs` at a time."""
    # Once, before they share it.
    build_engines(("rtl",), compiled_as(name, labels[0]), Memory(), step)
    if jobs == 1:
        return {label: run_both(name, label, images) for label in labels}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = {label: pool.submit(run_both, name, label, images) for label in labels}
        return {label: future.result() for label, future in waiting.items()}


def macs_per_image(compiled: CompiledNetwork, run: Run) -> list[int]:
    """UnitNet MACs that each image executes."""
    return [
        round(compiled.macs(one, run.exits[i : i + 1]).executed)
        for i in range(len(run.logits))
        for one in [{gate: s[i : i + 1] for gate, s in run.scores.items()}]
    ]


def schedule_figures(
    compiled: CompiledNetwork, run: Run, dense: Run, predicted: float, differ: int
) -> dict[str, Any]:
    """Means an image of one schedule, and the figures of every image; `predicted`: of `dense`."""
    count = compiled.macs(run.scores, run.exits)
    macs = {"dense": count.dense, "executed": count.executed, "gates": count.gates}
    cycles = {
        "dense": dense.mean("cycles"),
        "dynamic": run.mean("cycles"),
        "predicted_dense": predicted,
        "predicted_dynamic": float(np.mean(compiled.predict(run.scores, run.exits).cycles)),
    }
    weight_bytes = {
        "dense": dense.mean("weight_bytes"),
        "fetched": run.mean("weight_bytes"),
        "survivors": count.survivor_weights,
    }
    config = compiled.package.config
    return {
        "mismatches": differ,
        "macs": macs,
        "cycles": cycles,
        "weight_bytes": weight_bytes,
        **ratios(
            macs=macs,
            cycles=cycles,
            weight_bytes=weight_bytes,
            dense_weights=count.dense_weights,
            pes=config.p_oc * config.p_px,
        ),
        "image_macs": macs_per_image(compiled, run),
        "image_cycles": run.counters["cycles"].tolist(),
    }


def activity(run: Run, labels: npt.NDArray[np.int64]) -> dict[str, list[list[float]]]:
    """Gate -> class -> channel: share of the class's images whose score is not zero."""
    members = [labels == c for c in range(int(labels.max()) + 1)]
    return {
        gate: [
            np.round((scores[chosen] > 0).sum(axis=0) / max(chosen.sum(), 1), 3).tolist()
            for chosen in members
        ]
        for gate, scores in run.scores.items()
    }


def extremes(data: Dataset, macs: list[int]) -> dict[str, list[dict[str, Any]]]:
    """The images with the fewest and the most executed MACs; pixels are base64 of C x H x W."""
    order = np.argsort(np.array(macs), kind="stable")
    chosen = {"easiest": order[:EXTREMES], "hardest": order[::-1][:EXTREMES]}
    return {
        name: [
            {
                "index": int(i),
                "label": int(data.test_labels[i]),
                "macs": macs[i],
                "pixels": base64.b64encode(data.test_images[i].numpy().tobytes()).decode(),
            }
            for i in indices
        ]
        for name, indices in chosen.items()
    }


def measure(name: str, data: Dataset, count: int, jobs: int = 1) -> dict[str, Any]:
    """The stored result of one network over the first `count` test images."""
    images = data.normalize(data.test_images[:count]).numpy().astype(np.float32)
    labels = data.test_labels[:count].numpy()
    opened, compiled = compiled_as(name, DENSE), compiled_as(name, SCHEDULES[0])
    exits, gates = compiled.package.meta["exits"], compiled.package.meta["gates"]
    # Without gates there is one schedule; without exits either the dense run is that run.
    schedules = SCHEDULES if gates else SCHEDULES[:1]
    runs = run_labels(name, (DENSE, *(schedules if gates or exits else ())), images, jobs)
    reference, dense = runs[DENSE]
    predicted = float(np.mean(opened.predict(dense.scores, dense.exits).cycles))
    result: dict[str, Any] = {
        "name": name,
        "card": zoo_card(name),
        "config": CONFIG,
        "images": len(labels),
        "dense_mismatches": mismatches(reference, dense),
    }
    found: dict[str, Any] = {}
    for schedule in schedules:
        golden, rtl = runs.get(schedule, runs[DENSE])
        differ = mismatches(golden, rtl)
        network = compiled_as(name, schedule)
        found[schedule] = schedule_figures(network, rtl, dense, predicted, differ)
    _, first = runs.get(SCHEDULES[0], runs[DENSE])
    result["accuracy"] = float((first.labels == labels).mean())
    if exits:
        result["images_by_exit"] = np.bincount(first.exits, minlength=len(exits) + 1).tolist()
    result["correct"] = (first.labels == labels).astype(int).tolist()
    if gates:
        result["activity"] = activity(first, labels)
        result |= extremes(data, found[SCHEDULES[0]]["image_macs"])
    return result | {"schedules": found}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(zoo_names()))
@data_option
@images_option(1000)
@click.option("--jobs", type=click.IntRange(min=1), default=1, help="Simulations at a time.")
@store_option(STORE)
def main(names: tuple[str, ...], data_dir: Path | None, images: int, jobs: int, store: Path) -> int:
    """Run the zoo's trained networks (default: all of them) on real images on the core.

    Exit code 1 if a byte differs from golden's.
    """
    differ = 0
    for name in names or zoo_names():
        data = load_dataset(zoo_card(name)["dataset"], data_dir)
        result = measure(name, data, images, jobs)
        write_text(store / f"{name}.json", json.dumps(result) + "\n")
        found = [s["mismatches"] for s in result["schedules"].values()]
        differ += sum(found) + result["dense_mismatches"]
        print(f"{name}: accuracy {result['accuracy']:.2%}, {differ} bytes differ")
    return int(differ > 0)

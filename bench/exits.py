"""`penstock bench exits`: early exits measured on the core.

For each recipe with exits: train on digits (a minute), compile, sweep one threshold for all exits
over the test images in golden, and run the chosen thresholds on the simulated core against golden
and the HLS core's C simulation.  The baseline is the same network without exits, on the same core.
A network of the zoo needs `--data-dir`, where its data set is.  The figures are stored in
bench/results/exits/NAME.json, of which docs/results/exits.md is made.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.bench.figures import RESULTS, ROOT, network_realisation
from penstock.bench.options import data_option, images_option, store_option
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.pipeline import compile_graph
from penstock.engines import Memory, Run, mismatches, run_engine
from penstock.model import build_onnx
from penstock.model.checkpoint.export import export_checkpoint
from penstock.model.data.dataset import Dataset
from penstock.model.data.load import load_dataset
from penstock.model.networks.densenet import DenseNetConfig
from penstock.model.networks.own import OwnConfig
from penstock.model.quantize.random_network import random_network
from penstock.model.train.config import TrainConfig
from penstock.model.train.flow import train_network
from penstock.model.train.initial import network_config
from penstock.model.train.recipe import load_recipe
from penstock.model.zoo import zoo_card, zoo_names, zoo_onnx
from penstock.program.base.files import write_text
from penstock.program.core.config import get_config
from penstock.progress import step

STORE = RESULTS / "exits"
BUILD = ROOT / "build" / "exits"
RECIPES = ("resnet8-digits-exits", "lcnet-resnet8-digits-exits", "s2d-resnet8-digits")
CONFIG = "z7020"
#: Thresholds of the sweep, the same at every exit; above 1 nothing exits.
SWEEP = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 2.0)
NEVER = 2.0
#: Test images of the sweep, at most.
SWEPT = 1000
#: Images for the cost of exits that are not taken.
UNTAKEN = 16

Images = npt.NDArray[np.float32]


def trained(recipe: str) -> CompiledNetwork:
    """The network of the zoo, or of a recipe, trained unless build/exits has it already."""
    if recipe in zoo_names():
        return compile_onnx(zoo_onnx(recipe), get_config(CONFIG))
    onnx = BUILD / f"{recipe}.onnx"
    if not onnx.is_file():
        BUILD.mkdir(parents=True, exist_ok=True)
        checkpoint = BUILD / f"{recipe}.pt"
        train_network(TrainConfig(**load_recipe(recipe), out=checkpoint))
        export_checkpoint(checkpoint, onnx)
    return compile_onnx(onnx, get_config(CONFIG))


def without_exits(compiled: CompiledNetwork) -> CompiledNetwork:
    """The same network for the same core, its early exits and their heads left out."""
    assert compiled.graph is not None
    graph = dataclasses.replace(compiled.graph, exits=())
    heads = {leave.logits for leave in compiled.graph.exits}
    graph = dataclasses.replace(
        graph, nodes=tuple(node for node in graph.nodes if node.output not in heads)
    )
    package = compile_graph(graph, compiled.package.config, compiled.package.meta["schedule"])
    return CompiledNetwork(package=package, graph=graph)


def static_network(recipe: str, data: Dataset) -> dict[str, float] | None:
    """MACs and predicted cycles of the network that is split into stages; None: none is.

    The zoo's, or one of random weights: no figure depends on them.
    """
    if recipe in zoo_names():
        onnx = zoo_onnx(recipe.partition("-")[2])
    else:
        network = network_config(TrainConfig(**load_recipe(recipe)), data)
        if network.split is None or isinstance(network, DenseNetConfig | OwnConfig):
            return None
        onnx = BUILD / f"{recipe}-static.onnx"
        model = build_onnx(random_network(network.whole()))
        onnx.write_bytes(model.SerializeToString())
    compiled = compile_onnx(onnx, get_config(CONFIG))
    one = np.zeros(1, dtype=np.int64)
    return {
        "macs": compiled.macs({}, one).executed,
        "predicted_cycles": float(compiled.predict({}, one).cycles.mean()),
    }


def row(
    compiled: CompiledNetwork, run: Run, labels: npt.NDArray[np.int64], threshold: float | None
) -> dict[str, Any]:
    """Means an image at one threshold (None: those of the file); cycles are the cost model's."""
    exits = len(compiled.package.meta["exits"])
    shares = np.bincount(run.exits, minlength=exits + 1) / len(run.exits)
    return {
        "threshold": threshold,
        "accuracy": float((run.labels == labels).mean()),
        "shares": shares.tolist(),
        "macs": compiled.macs(run.scores, run.exits).executed,
        "predicted_cycles": float(compiled.predict(run.scores, run.exits).cycles.mean()),
    }


def measured(compiled: CompiledNetwork, images: Images, label: str) -> tuple[Run, dict[str, int]]:
    """The core's run, and bytes that differ from golden's: of it and of the HLS core."""
    runs = {}
    for engine in ("golden", "csim", "rtl"):
        with step(f"{label}, {engine}, {len(images)} images") as progress:
            runs[engine] = run_engine(engine, compiled, images, Memory(), progress)
    differ = {name: mismatches(runs["golden"], runs[name]) for name in ("csim", "rtl")}
    return runs["rtl"], differ


def measure(recipe: str, data: Dataset, count: int) -> dict[str, Any]:
    """The stored result of one recipe: the sweep over SWEPT test images, `count` on the core."""
    compiled = trained(recipe)
    images = data.normalize(data.test_images[:SWEPT]).numpy().astype(np.float32)
    labels = data.test_labels[:SWEPT].numpy()
    with step(f"{recipe}, sweep, golden") as progress:
        sweep = []
        for threshold in SWEEP:
            changed = compiled.with_thresholds([threshold] * len(compiled.package.meta["exits"]))
            run = run_engine("golden", changed, images, Memory(), progress)
            sweep.append(row(changed, run, labels, threshold))
        chosen = run_engine("golden", compiled, images, Memory(), progress)
    some = images[:count]
    exits, differ = measured(compiled, some, f"{recipe}, exits")
    plain = without_exits(compiled)
    static, differ_static = measured(plain, some, f"{recipe}, no exits")
    never = compiled.with_thresholds([NEVER] * len(compiled.package.meta["exits"]))
    untaken = run_engine("rtl", never, some[:UNTAKEN], Memory()).counters["cycles"]
    macs = {
        "static": plain.macs(static.scores, static.exits).executed,
        "exits": compiled.macs(exits.scores, exits.exits).executed,
    }
    cycles = {
        "static": static.mean("cycles"),
        "exits": exits.mean("cycles"),
        "predicted": float(compiled.predict(exits.scores, exits.exits).cycles.mean()),
    }
    return {
        "name": recipe,
        "config": CONFIG,
        "thresholds": [leave["threshold"] for leave in compiled.package.meta["exits"]],
        "test_images": len(images),
        "sweep": sweep,
        "chosen": row(compiled, chosen, labels, None),
        "images": count,
        "mismatches": {name: differ[name] + differ_static[name] for name in differ},
        "macs": macs,
        "cycles": cycles,
        "static_network": static_network(recipe, data),
        "network_realisation": network_realisation(
            static_cycles=cycles["static"],
            cycles=cycles["exits"],
            static_macs=macs["static"],
            macs=macs["exits"],
        ),
        "untaken_cycles": float(untaken.mean() - static.counters["cycles"][:UNTAKEN].mean()),
    }


@click.command()
@click.argument("recipes", nargs=-1)
@data_option
@images_option(100)
@store_option(STORE)
def main(recipes: tuple[str, ...], data_dir: Path | None, images: int, store: Path) -> int:
    """Train RECIPES with exits on digits, and run them on the core with and without.

    Recipes may be networks of the zoo, which need --data-dir; default: the three of digits. Each is
    swept over thresholds in golden. Exit code 1 if a byte differs.
    """
    differ = 0
    for recipe in recipes or RECIPES:
        dataset = zoo_card(recipe)["dataset"] if recipe in zoo_names() else "digits"
        data = load_dataset(dataset, data_dir)
        result = measure(recipe, data, images)
        write_text(store / f"{recipe}.json", json.dumps(result, indent=1) + "\n")
        differ += sum(result["mismatches"].values())
        print(f"{recipe}: network realisation {result['network_realisation']:.3f}, {differ} differ")
    return int(differ > 0)

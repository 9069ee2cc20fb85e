"""`penstock bench families`: every family of gates on one core.

Trained: each recipe is trained on digits (unless build/families holds its checkpoint), exported,
compiled and run on test images by graph, golden, csim and the simulated core, all of which must
agree.  One on CIFAR-10 (`--data-dir`), for which build/families should hold checkpoints: it takes
more than an hour.  At CIFAR's size: the same with random weights, half the channels and blocks
closed.  Beside each, the same network compiled without its gates.  Results go into
bench/results/families.json, from which docs/results/families.md is made.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import rich_click as click
import torch

from penstock.bench.figures import RESULTS, ROOT, network_realisation
from penstock.bench.options import data_option
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.engines import Images, Memory, Run, build_engines, mismatches, run_engine
from penstock.model import (
    Dataset,
    TrainConfig,
    build_onnx,
    export_checkpoint,
    load_checkpoint,
    load_dataset,
    parse_any,
    random_images,
    random_network,
    train_network,
)
from penstock.model.train.recipe import load_recipe
from penstock.program.base.files import write_text
from penstock.program.core.config import get_config
from penstock.progress import step

STORE = RESULTS / "families.json"
FOLDER = ROOT / "build" / "families"
CONFIG = "z7020"
RECIPES = (
    *("skipnet1-digits", "skipnet2-digits", "blockdrop-digits", "blockdrop-reinforce-digits"),
    *(
        "acs-digits",
        "acsdg-digits",
        "acsdg-se-digits",
        "acs-densenet-digits",
        "iadi-digits",
        "aig-digits",
        "fbs-digits",
        "moe-digits",
    ),
)
# On CIFAR-10: what is trained, and what its recipe starts from.
CIFAR = {"acs-resnet38-cifar10-cpu-skip": "acs-resnet38-cifar10-cpu"}
LARGE = (
    *("skipnet1-resnet20", "skipnet2-resnet20", "blockdrop-resnet20"),
    *("acs-resnet20", "acsdg-resnet20", "acsdg-se-resnet20", "iadi-resnet20"),
    *("acs-resnet38", "acsdg-resnet38", "acs-densenet41"),
    *("acsdg-se-densenet41", "aig-resnet20", "fbs-resnet20", "moe-resnet20"),
)
KNOWN = (*RECIPES, *CIFAR, *LARGE)
ENGINES = ("graph", "golden", "csim", "rtl")
IMAGES = 100
LARGE_IMAGES = 6
STATIC_IMAGES = 3  # without gates every image takes the same
KEEP = 0.5  # share of channels and of blocks that random gates keep


def trained(recipe: str, data_dir: Path | None) -> Path:
    """The checkpoint of a recipe; trained if it is not there yet."""
    checkpoint = FOLDER / f"{recipe}.pt"
    if not checkpoint.is_file():
        init = trained(CIFAR[recipe], data_dir) if recipe in CIFAR else None
        settings = load_recipe(recipe) | {"data_dir": data_dir, "init": init}
        train_network(TrainConfig(**settings, out=checkpoint))
    return checkpoint


def run_all(compiled: CompiledNetwork, images: Images, engines: tuple[str, ...]) -> dict[str, Run]:
    """One run of all images an engine."""
    runs = {}
    build_engines(engines, compiled, Memory(), step)
    for engine in engines:
        with step(f"{engine}, {len(images)} images") as progress:
            runs[engine] = run_engine(engine, compiled, images, Memory(), progress)
    return runs


def steady(run: Run, counter: str) -> float:
    """Mean of a counter over all images but the first, which also pays what runs once."""
    return float(run.counters[counter][1:].mean())


def figures(compiled: CompiledNetwork, images: Images) -> tuple[dict[str, Any], Run]:
    """Figures of a network, means an image, and the core's run."""
    static = compiled.static()
    runs = run_all(compiled, images, ENGINES)
    plain = run_all(static, images[:STATIC_IMAGES], ("golden", "rtl"))
    rtl = runs["rtl"]
    counted = compiled.macs({gate: scores[1:] for gate, scores in rtl.scores.items()})
    macs = {
        "dense": counted.dense,
        "executed": counted.executed,
        "gates": counted.gates_executed,
    }
    cycles = {
        "static": steady(plain["rtl"], "cycles"),
        "dynamic": steady(rtl, "cycles"),
        "predicted": float(np.mean(compiled.predict(rtl.scores).cycles[1:])),
    }
    experts = {
        name.partition(".router")[0]: float((scores > 0).mean())
        for name, scores in rtl.scores.items()
        if ".router.score" in name
    }
    kinds = {gate["name"]: gate["kind"] for gate in compiled.package.meta["gates"]}
    deciding = [scores for name, scores in rtl.scores.items() if kinds[name] != "sigmoid"]
    kept = np.concatenate([scores > 0 for scores in deciding], axis=1)
    return {
        "config": compiled.package.config.name,
        "images": len(images),
        "mismatches": {
            **{engine: mismatches(runs["golden"], runs[engine]) for engine in ENGINES},
            "static": mismatches(plain["golden"], plain["rtl"]),
        },
        "macs": macs,
        "cycles": cycles,
        "weight_bytes": {
            "static": steady(plain["rtl"], "weight_bytes"),
            "dynamic": steady(rtl, "weight_bytes"),
        },
        "network_realisation": network_realisation(
            static_cycles=cycles["static"],
            cycles=cycles["dynamic"],
            static_macs=macs["dense"],
            macs=macs["executed"] + macs["gates"],
        ),
        "scores": {
            "count": kept.shape[1],
            "kept": float(kept.mean()),
            "undecided": int((kept.any(axis=0) & ~kept.all(axis=0)).sum()),
        },
        **({"experts": experts} if experts else {}),  # share of the images that run the first
    }, rtl


def measure_trained(recipe: str, data: Dataset, data_dir: Path | None) -> dict[str, Any]:
    """The stored figures of one recipe over the first test images."""
    path = trained(recipe, data_dir)
    exported = path.with_suffix(".onnx")
    export_checkpoint(path, exported)
    compiled = compile_onnx(exported, get_config(CONFIG))
    images = data.normalize(data.test_images[:IMAGES]).numpy().astype(np.float32)
    result, rtl = figures(compiled, images)
    checkpoint = load_checkpoint(path)
    accuracy = {
        "float": checkpoint.metrics["float_accuracy"],
        "quantized": checkpoint.metrics["qat_accuracy"],
        "integer": float((rtl.labels == data.test_labels[:IMAGES].numpy()).mean()),
    }
    training = {"training": "REINFORCE"} if load_recipe(recipe).get("policy_gradient") else {}
    if recipe in CIFAR:
        first = load_checkpoint(FOLDER / f"{CIFAR[recipe]}.pt").metrics
        result["first_step"] = {key: first[key] for key in ("float_accuracy", "mac_ratio")}
    return {"network": checkpoint.net.config.name, **training, "accuracy": accuracy, **result}


def measure_large(name: str) -> dict[str, Any]:
    """The stored figures of a network of CIFAR's size with random weights."""
    config = parse_any(name)
    network = random_network(config, keep_channels=KEEP, keep_blocks=KEEP, images=32)
    path = FOLDER / f"{name}.onnx"
    onnx.save(build_onnx(network), path)
    images = random_images(config, LARGE_IMAGES, torch.Generator().manual_seed(1))
    result, _ = figures(compile_onnx(path, get_config(CONFIG)), images.numpy())
    return {"network": name, **result}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(KNOWN))
@data_option
def main(names: tuple[str, ...], data_dir: Path | None) -> int:
    """Train every family of gates, and run it on the core beside itself without gates.

    NAMEs are recipes, or networks of CIFAR's size with random weights; default: all that need no
    data. Exit code 1 if an engine differs.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    stored = json.loads(STORE.read_text(encoding="utf-8")) if STORE.is_file() else {}
    differ = 0
    for name in names or RECIPES + LARGE:
        if name in LARGE:
            stored[name] = measure_large(name)
        else:
            folder = data_dir if name in CIFAR else None
            data = load_dataset(load_recipe(name)["dataset"], folder)
            stored[name] = measure_trained(name, data, folder)
        differ += sum(stored[name]["mismatches"].values())
        realised = stored[name]["network_realisation"]
        print(f"{name}: network realisation {realised:.3f}, {differ} bytes differ")
        ordered = {name: stored[name] for name in KNOWN if name in stored}
        write_text(STORE, json.dumps(ordered, indent=2) + "\n")
    return int(differ > 0)

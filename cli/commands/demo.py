"""`penstock demo`: the whole chain on real images, with its report."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import rich_click as click
from rich.table import Table

from penstock.bench.demo_report import BOARD, rows
from penstock.bench.figures import ratios
from penstock.cli.commands.train import train_checkpoint
from penstock.cli.compiled import SEED
from penstock.cli.errors import MISMATCH, load
from penstock.cli.files import force_option
from penstock.cli.output import STDOUT, emit, json_option, note, table
from penstock.engines import (
    Memory,
    Run,
    build_engines,
    first_mismatch,
    mismatches,
    run_engine,
    save_arrays,
)
from penstock.images import check_images
from penstock.program.base.files import write_file, write_text
from penstock.program.base.folder import check_folder
from penstock.program.core.hardware import hardware
from penstock.progress import step

#: Images of a zoo network's demo: every one goes through the simulated core three times.
ZOO_IMAGES = 100
#: The second run's memory: every AXI channel stalls in a fifth of the cycles, at random.
STALLS = Memory(stall=0.2, seed=1)


@click.command(
    epilog="""Examples:\n
    penstock demo -o build/demo\n
    penstock demo --dataset cifar10 --data-dir data/ -o build/demo-cifar10\n
    penstock demo --dataset cifar10 --data-dir data/ --network lcnet-resnet20 --epochs 40 -o r20\n
    penstock demo --schedule parallel --seed 3 -o build/demo3 --json -
    """
)
@click.option(
    "-o",
    "--output",
    default="build/demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for the checkpoint, the ONNX file, the program, the images and report.json.",
)
@click.option(
    "--network",
    metavar="NAME",
    help="Network to train.  [default: lcnet-resnet8 on digits; on cifar10 nothing is trained, the"
    " zoo's ResNet-20 runs]",
)
@click.option("--dataset", default="digits", show_default=True, metavar="NAME")
@click.option("--data-dir", type=click.Path(path_type=Path), help="CIFAR-10's binary files.")
@click.option("--config", "config_name", default="z7020", show_default=True, metavar="NAME")
@click.option(
    "--schedule",
    type=click.Choice(["sequential", "parallel"]),
    default="sequential",
    show_default=True,
)
@click.option("--epochs", type=int, help="Epochs in floating point.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option(
    "--limit",
    type=click.IntRange(1),
    help="Test images to run.  [default: all of digits, 100 with a network of the zoo]",
)
@force_option
@json_option
def demo(
    output: Path,
    network: str | None,
    dataset: str,
    data_dir: Path | None,
    config_name: str,
    schedule: str,
    epochs: int | None,
    seed: int,
    limit: int | None,
    force: bool,
    json_to: str | None,
) -> int:
    """Train, export, compile and run a gated network, and report what its gates save.

    Every test image goes through the integer reference, the C simulation of the HLS core and the
    simulated core: as the gates decide, with random memory stalls, and dense (every gate forced
    to 1). All results are compared byte for byte; exit code 1 if one differs.
    """
    started = time.monotonic()
    config = hardware(config_name)
    check_folder(output / "net", "compile", force=force)
    onnx_path = output / "net.onnx"
    if network is None and dataset in load("penstock.model.zoo").DEMO_NETWORKS:
        network, accuracy = fetch_trained(dataset, onnx_path)
        limit = limit or ZOO_IMAGES
    else:
        network = network or "lcnet-resnet8"
        metrics = train_checkpoint(
            network=network,
            dataset=dataset,
            data_dir=data_dir,
            out=output / "checkpoint.pt",
            epochs=epochs,
            seed=seed,
            schedule=schedule,
            quiet=json_to == STDOUT,
        )
        with step("export"):
            load("penstock.model").export_checkpoint(output / "checkpoint.pt", onnx_path)
        accuracy = {"float": metrics["float_accuracy"], "qat": metrics["qat_accuracy"]}
    with step(f"compile for {config.name}"):
        made = load("penstock.building").build(onnx_path, target=config, schedule=schedule)
        made.save(output / "net", force=force)
        compiled = made.compiled
    images, labels = save_test_images(dataset, data_dir, output, limit)
    runs = run_all(compiled, images)
    write_file(output / "results.npz", lambda file: save_arrays(file, runs["rtl"]))
    report = {
        "network": network,
        "dataset": dataset,
        "images": len(images),
        "accuracy": accuracy | {"integer": float((runs["rtl"].labels == labels).mean())},
        **measure(compiled, runs),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_text(output / "report.json", json.dumps(report, indent=2) + "\n")
    emit(report, json_to, report_table(report, config.name))
    note(f"{output / 'report.json'} written after {report['seconds']} s")
    return show_mismatches(runs)


def fetch_trained(dataset: str, onnx_path: Path) -> tuple[str, dict[str, float]]:
    """Copy the zoo's network for `dataset`; its name, and its accuracy on the whole test set."""
    zoo = load("penstock.model.zoo")
    name = zoo.DEMO_NETWORKS[dataset]
    content = zoo.zoo_onnx(name).read_bytes()
    write_file(onnx_path, lambda file: file.write(content))
    accuracy = zoo.zoo_card(name)["accuracy"]
    return name, {"float": accuracy["float"], "qat": accuracy["fake_quantized"]}


def save_test_images(
    dataset: str, data_dir: Path | None, output: Path, limit: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The test set, or its first `limit` images, as the network takes them; also written as
    images.npy and labels.npy."""
    data = load("penstock.model.data.load").load_dataset(dataset, data_dir)
    images = data.normalize(data.test_images[:limit]).numpy().astype(np.float32)
    labels = data.test_labels[:limit].numpy().astype(np.int64)
    write_file(output / "images.npy", lambda file: np.save(file, images))
    write_file(output / "labels.npy", lambda file: np.save(file, labels))
    return check_images(images, None, "the test set"), labels


def run_all(compiled: Any, images: np.ndarray) -> dict[str, Run]:
    """Every run of the demo, in the order in which `PAIRS` compares them."""
    dense = compiled.force_gates_open()
    plans = {
        "graph": ("graph", compiled, Memory()),
        "golden": ("golden", compiled, Memory()),
        "csim": ("csim", compiled, Memory()),
        "rtl": ("rtl", compiled, Memory()),
        "rtl, random stalls": ("rtl", compiled, STALLS),
        "golden, every gate open": ("golden", dense, Memory()),
        "csim, every gate open": ("csim", dense, Memory()),
        "rtl, every gate open": ("rtl", dense, Memory()),
    }
    build_engines(("csim", "rtl"), compiled, Memory(), step)
    runs = {}
    for name, (engine, program, memory) in plans.items():
        with step(f"{name}, {len(images)} images") as progress:
            runs[name] = run_engine(engine, program, images, memory, progress)
    return runs


#: engine -> (reference run, run that must be equal), over `run_all`.
PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "golden": (("graph", "golden"),),
    "csim": (("golden", "csim"), ("golden, every gate open", "csim, every gate open")),
    "rtl": (
        ("golden", "rtl"),
        ("golden", "rtl, random stalls"),
        ("golden, every gate open", "rtl, every gate open"),
    ),
}


def measure(compiled: Any, runs: dict[str, Run]) -> dict[str, Any]:
    """The report's figures from `engines` to `fetch_ratio` (means an image)."""
    dynamic, dense = runs["rtl"], runs["rtl, every gate open"]
    count = compiled.macs(dynamic.scores)
    macs = {"dense": count.dense, "executed": count.executed, "gates": count.gates}
    cycles = {
        "dense": dense.mean("cycles"),
        "dynamic": dynamic.mean("cycles"),
        "predicted_dense": float(np.mean(compiled.predict(dense.scores).cycles)),
        "predicted_dynamic": float(np.mean(compiled.predict(dynamic.scores).cycles)),
    }
    weight_bytes = {
        "dense": dense.mean("weight_bytes"),
        "fetched": dynamic.mean("weight_bytes"),
        "survivors": count.survivor_weights,
    }
    config = compiled.package.config
    engines = {
        engine: {
            "images": len(runs[engine].logits),
            "mismatches": sum(mismatches(runs[a], runs[b]) for a, b in pairs),
        }
        for engine, pairs in PAIRS.items()
    }
    return {
        "engines": engines,
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
    }


def report_table(report: dict[str, Any], config: str) -> Table:
    """The report for people."""
    clock = load("penstock.boards.board").load_board(BOARD).clock("rtl", config)
    title = f"{report['network']} on {report['dataset']}, {config}"
    result = table(title, "", "", "measured by")
    for row in rows(report, clock):
        result.add_row(*row)
    return result


def show_mismatches(runs: dict[str, Run]) -> int:
    """Print the first difference of every pair of runs; the command's exit code."""
    code = 0
    for pairs in PAIRS.values():
        for reference, other in pairs:
            if where := first_mismatch(runs[reference], runs[other]):
                note(f"'{reference}' and '{other}' differ: first at {where}")
                code = MISMATCH
    return code

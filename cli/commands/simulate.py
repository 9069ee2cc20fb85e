"""`penstock simulate`: a compiled network on the engines, compared byte for byte."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rich_click as click
from rich.table import Table

from penstock.cli.check import check_rows, onnx_figures
from penstock.cli.compiled import SEED, load_network, read_images
from penstock.cli.errors import MISMATCH, InputError
from penstock.cli.exits import exit_figures, exit_rows, thresholds_option
from penstock.cli.files import read_labels
from penstock.cli.output import emit, json_option, note, table, warn
from penstock.engines import (
    ENGINES,
    Memory,
    Run,
    build_engines,
    first_mismatch,
    mismatches,
    profile_descriptors,
    run_engine,
    save_arrays,
)
from penstock.program.base.files import write_file
from penstock.program.core.hardware import hardware
from penstock.progress import step


def parse_engines(text: str) -> tuple[str, ...]:
    """The engines of "golden,rtl"; InputError on an unknown or repeated one.

    The ONNX file is compared with the graph, so "onnx" brings that with it.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in ENGINES:
            raise InputError(f"unknown engine '{name}'", hint=f"one of {', '.join(ENGINES)}")
    if len(set(names)) != len(names):
        raise InputError(f"an engine is named twice in '{text}'")
    return names if "onnx" not in names or "graph" in names else (*names, "graph")


@click.command(
    epilog="""Examples:\n
    penstock simulate build/net --images x.npy\n
    penstock simulate build/net --engine golden,csim,rtl --images x.npy\n
    penstock simulate build/net --engine onnx,golden --images x.npy\n
    penstock simulate build/net --engine rtl --images x.npy --labels y.npy --json out.json\n
    penstock simulate build/net --images x.npy --stall 0.2 --seed 7 --save out.npz\n
    penstock simulate build/net --engine rtl --images x.npy --force-gates 1\n
    penstock simulate build/net --images x.npy --labels y.npy --thresholds 0.9,0.8\n
    penstock simulate build/net --engine rtl --images x.npy --limit 1 --vcd core.vcd
    """
)
@click.argument("network", type=click.Path(path_type=Path))
@click.option(
    "--engine",
    "engine_list",
    default="golden,rtl",
    show_default=True,
    help="Comma-separated: golden (NumPy integers, from the program's bytes), csim (the HLS core's "
    "C++), rtl (the core in Verilator), graph (integers, from the graph, nothing skipped): "
    "compared with the first, byte for byte. onnx: the quantised file in onnxruntime, compared "
    "with the graph layer by layer; rounding is allowed there.",
)
@click.option(
    "--images",
    "images_path",
    required=True,
    type=click.Path(path_type=Path),
    metavar="X.NPY",
    help="float32, N x C x H x W: real values, normalised as for training; uint8 photographs, "
    "channels first or last, where the network knows its pixels; or int8 / uint8 codes, where the "
    "ONNX file takes images of that type.",
)
@click.option(
    "--labels",
    "labels_path",
    type=click.Path(path_type=Path),
    metavar="Y.NPY",
    help="N integers: also print the accuracy.",
)
@click.option(
    "--config",
    "config_name",
    metavar="NAME",
    help="The core to run on (default, and the only one that works: the one compiled for).",
)
@click.option("--limit", type=click.IntRange(min=1), help="Run only the first images.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="OUT.NPZ",
    help="Write per image: logits, label, exit, gate:<name>, counter:<name>.",
)
@click.option(
    "--latency",
    type=click.IntRange(0, 10000),
    default=40,
    show_default=True,
    help="rtl: cycles from a read request to its first beat.",
)
@click.option(
    "--stall",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="rtl: probability that an AXI channel stalls in a cycle.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="rtl: seed of the stalls.")
@click.option("--assertions", is_flag=True, help="rtl: also check the core's own assertions.")
@click.option("--force-gates", type=click.Choice(["1"]), help="1: every gate open (dense).")
@click.option(
    "--vcd", type=click.Path(path_type=Path), metavar="F.VCD", help="rtl: write the waveform."
)
@click.option(
    "--per-descriptor",
    is_flag=True,
    help="rtl: also the counters of every descriptor, in --json (many runs: use --limit).",
)
@thresholds_option
@json_option
def simulate(
    network: Path,
    engine_list: str,
    images_path: Path,
    labels_path: Path | None,
    config_name: str | None,
    limit: int | None,
    save: Path | None,
    latency: int,
    stall: float,
    seed: int,
    assertions: bool,
    force_gates: str | None,
    vcd: Path | None,
    per_descriptor: bool,
    thresholds: tuple[float, ...] | None,
    json_to: str | None,
) -> int:
    """Run images through a compiled NETWORK on one or more engines and compare every byte.

    Exit code 0 if all engines agree, 1 if they differ (the first difference is printed).
    """
    engines = parse_engines(engine_list)
    check_engines(engines, vcd, per_descriptor, force_gates)
    loaded = load_network(network)
    compiled = loaded.compiled
    if config_name is not None:
        compiled.package.require(hardware(config_name))
    images, warnings = read_images(loaded, images_path, limit)
    warn(warnings)
    labels = None if labels_path is None else read_labels(labels_path, len(images))
    if thresholds is not None:
        compiled = compiled.with_thresholds(thresholds)
    if force_gates:
        compiled = compiled.force_gates_open()
    memory = Memory(latency=latency, stall=stall, seed=seed, vcd=vcd, assertions=assertions)
    build_engines(engines, compiled, memory, step)
    runs = []
    exact = tuple(engine for engine in engines if engine != "onnx")
    for engine in exact:
        with step(f"{engine}, {len(images)} images") as progress:
            runs.append(run_engine(engine, compiled, images, memory, progress))
    figures = summarize(compiled, runs, labels) | {"warnings": warnings}
    checked = None
    if "onnx" in engines:
        with step(f"onnx, {len(images)} images"):
            checked = compiled.check(images).checked
        figures["engines"]["onnx"] = onnx_figures(checked)
    if per_descriptor:
        with step("rtl, every descriptor") as progress:
            figures["descriptors"] = profile_descriptors(compiled, images, memory, progress)
    if save is not None:
        # Counters come from the core alone: prefer its run.
        best = next((run for run in runs if run.engine == "rtl"), runs[0])
        write_file(save, lambda file: save_arrays(file, best))
    title = f"{network}, {len(images)} images"
    emit(figures, json_to, *result_tables(title, figures, exact, checked))
    note_differences(runs, checked)
    return MISMATCH if any(e["mismatches"] for e in figures["engines"].values()) else 0


def check_engines(
    engines: tuple[str, ...], vcd: Path | None, per_descriptor: bool, force_gates: str | None
) -> None:
    """Refuse options that the engines do not have."""
    if vcd is not None and "rtl" not in engines:
        raise InputError("--vcd needs the rtl engine", hint="--engine rtl")
    if per_descriptor and "rtl" not in engines:
        raise InputError("--per-descriptor needs the rtl engine", hint="--engine rtl")
    if vcd is not None and not vcd.parent.is_dir():
        raise InputError(f"cannot write {vcd}: no such folder")
    if force_gates and "onnx" in engines:
        raise InputError("the onnx engine has no --force-gates", hint="leave one of them out")


def result_tables(
    title: str, figures: dict[str, Any], exact: tuple[str, ...], checked: Any
) -> list[Table]:
    """What the engines gave, where images ended, and how the graph compares with the file."""
    result = table(title, "", *exact)
    for row in table_rows(figures, exact):
        result.add_row(*row)
    tables = [result]
    if "exits" in figures:
        tables.append(table("where the images end", "", "of the images"))
        for name, share in exit_rows(figures["exits"]):
            tables[-1].add_row(name, share)
    if checked is not None:
        tables.append(table("graph against the ONNX file", "", "onnxruntime"))
        for check_row in check_rows(checked):
            tables[-1].add_row(*check_row)
    return tables


def note_differences(runs: list[Run], checked: Any) -> None:
    """Where engines differ first, a line each."""
    for run in runs[1:]:
        if where := first_mismatch(runs[0], run):
            note(f"{runs[0].engine} and {run.engine} differ: first at {where}")
    if checked is not None and checked.first_wrong is not None:
        layer = checked.first_wrong
        note(f"graph and onnx differ: layer {layer.layer} {checked.describe_wrong()}")


def summarize(
    compiled: Any, runs: list[Run], labels: npt.NDArray[np.int64] | None
) -> dict[str, Any]:
    """The figures of `--json`; means are an image."""
    first = runs[0]
    macs = compiled.macs(first.scores, first.exits)
    prediction = compiled.predict(first.scores, first.exits)
    figures: dict[str, Any] = {
        "network": compiled.package.meta["network"],
        "config": compiled.package.config.name,
        "images": len(first.logits),
        "images_a_run": first.per_run,
        "engines": {},
        "macs": {"dense": macs.dense, "executed": macs.executed, "gates": macs.gates},
        "predicted": {
            "cycles": float(np.mean(prediction.cycles)) / first.per_run,
            "weight_bytes": float(np.mean(prediction.weight_bytes)) / first.per_run,
        },
        "gates": {
            name: {"mean_score": float(s.mean()) / 128, "kept": float((s > 0).mean())}
            for name, s in first.scores.items()
        },
    }
    if compiled.package.meta["exits"]:
        meta = compiled.package.meta
        figures["exits"] = exit_figures(meta, first.exits, first.labels, labels)
    for run in runs:
        engine: dict[str, Any] = {
            "images": len(run.logits),
            "mismatches": mismatches(first, run),
        }
        if labels is not None:
            engine["accuracy"] = float((run.labels == labels).mean())
        if run.counters:
            engine["counters"] = {name: run.mean(name) for name in run.counters}
            unit = "per_image" if run.per_run == 1 else "per_run"
            engine[unit] = {name: each.tolist() for name, each in run.counters.items()}
        figures["engines"][run.engine] = engine
    return figures


def table_rows(figures: dict[str, Any], engines: tuple[str, ...]) -> list[list[str]]:
    """The rows of the table: one column an engine; cycles are those of the simulated core."""
    rows = [["bytes that differ", *(str(figures["engines"][e]["mismatches"]) for e in engines)]]
    if "accuracy" in figures["engines"][engines[0]]:
        rows.append(["accuracy", *(f"{figures['engines'][e]['accuracy']:.2%}" for e in engines)])
    counters = [figures["engines"][e].get("counters", {}) for e in engines]
    for name in ("cycles", "mac", "weight_wait", "weight_bytes", "read_bytes", "write_bytes"):
        if any(name in c for c in counters):
            rows.append(
                [
                    f"{name.replace('_', ' ')} an image",
                    *(f"{c[name]:,.0f}" if name in c else "" for c in counters),
                ]
            )
    return rows

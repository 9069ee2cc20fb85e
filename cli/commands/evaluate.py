"""`penstock evaluate`: one checkpoint in every number format, and the MACs its gates leave."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rich_click as click
from rich.table import Table

from penstock.cli.commands.train import data_of
from penstock.cli.compiled import network_option
from penstock.cli.errors import InputError, load
from penstock.cli.output import emit, json_option, table
from penstock.program.base.files import write_file
from penstock.progress import step

SWEEP_ROWS = 12  # of a sweep, about; all of it is in the JSON
BATCH = 64  # images the integer reference keeps in memory at once


@click.command(
    epilog="""Examples:\n
    penstock evaluate build/ckpt.pt\n
    penstock evaluate r20.pt --data-dir data/ --images 1000 --json r20.json\n
    penstock evaluate r20.pt --data-dir data/ --calibration 256 --per-image r20.npz
    """
)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--data-dir", type=click.Path(path_type=Path), help="CIFAR-10's binary files.")
@click.option("--images", type=click.IntRange(1), help="Test images (default: all of them).")
@click.option(
    "--calibration",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    help="Training images that set the scales for quantisation after training.",
)
@click.option(
    "--per-image",
    type=click.Path(path_type=Path),
    metavar="X.NPZ",
    help="Write classes and MACs of every image.",
)
@network_option
@click.option(
    "--data",
    "other",
    metavar="DATA",
    help="Other data than the checkpoint's, as penstock train takes it.",
)
@json_option
def evaluate(
    checkpoint: Path,
    data_dir: Path | None,
    images: int | None,
    calibration: int,
    per_image: Path | None,
    network: str | None,
    other: str | None,
    json_to: str | None,
) -> None:
    """Report a CHECKPOINT's accuracy in floating point, fake-quantised and in integers.

    Integers twice: of the network that was trained quantised, and of the floating-point one
    quantised after training. MACs are those of the quantised network's gates, in both
    configurations of the LC-Net paper, from the same scores. Of a network in stages (S2DNAS) also
    where images end at its thresholds, and accuracy against MACs at others.
    """
    model = load("penstock.model")
    loaded = model.load_checkpoint(checkpoint, network)
    data = _test_set(loaded, other, data_dir, images)
    calibration_images = data.normalize(data.train_images[:calibration]).numpy()
    with step(f"floating point and fake-quantised, {len(data.test_labels)} images"):
        figures = {
            "float": model.evaluate(loaded.net, data),
            "fake_quantized": model.evaluate(loaded.quantized, data),
        }
    accuracy = {name: figure.accuracy for name, figure in figures.items()}
    labels = data.test_labels.numpy()
    inputs = data.normalize(data.test_images).numpy()
    predicted: dict[str, np.ndarray] = {}
    for name, graph in _graphs(model, loaded, calibration_images).items():
        with step(f"{name}, {len(labels)} images") as progress:
            predicted[name], ended = _classify(graph, inputs, progress)
        accuracy[name] = float((predicted[name] == labels).mean())
        if graph.exits:
            accuracy[f"{name}_with_exits"] = float((ended == labels).mean())
    scores = figures["fake_quantized"].scores
    config = loaded.quantized.config
    macs = load("penstock.model.macs.report")
    report = {
        "network": config.name,
        "dataset": data.name,
        "images": len(labels),
        "calibration_images": len(calibration_images),
        "accuracy": accuracy,
        "macs": macs.mac_report(config, scores, plans=model.network_gates(loaded.quantized)),
    }
    if config.split is not None:
        points = load("penstock.model.train.exit_points")
        report["exits"] = points.exit_report(loaded.quantized, data, thresholds(loaded))
    if per_image is not None:
        counts = {f"macs_{k}": v.numpy() for k, v in macs.macs_per_image(config, scores).items()}
        arrays = {"labels": labels, "predicted": predicted["integer"], **counts}
        write_file(per_image, lambda file: np.savez(file, **arrays))
    emit(report, json_to, *_tables(report))


def _test_set(loaded: Any, other: str | None, data_dir: Path | None, images: int | None) -> Any:
    """The data set a checkpoint was trained on, or another; its test set cut to `images`.

    Normalised as the network was trained.
    """
    name, place = loaded.training["dataset"], data_dir
    if other is not None:
        name, place = data_of(other)
    elif load("penstock.model.files.reference").is_reference(name):
        raise InputError(
            f"the data set is made by {name}, code that no file may start", hint=f"--data {name}"
        )
    elif place is None and name in ("folder", "arrays"):
        place = Path(str(loaded.training.get("data_dir")))
    data = load("penstock.model").load_dataset(name, place)
    known = loaded.normalization
    data = dataclasses.replace(
        data,
        full_scale=known["full_scale"][0],
        mean=tuple(known["mean"]),
        std=tuple(known["std"]),
    )
    config = loaded.net.config
    if (data.in_channels, data.input_size) != (config.in_channels, config.input_size):
        raise InputError(
            f"{data.name} has {data.in_channels} x {data.input_size} images, "
            f"the network takes {config.in_channels} x {config.input_size}"
        )
    return dataclasses.replace(
        data, test_images=data.test_images[:images], test_labels=data.test_labels[:images]
    )


def _graphs(model: Any, loaded: Any, calibration: np.ndarray) -> dict[str, Any]:
    """The integer graph of the quantised network, and of the float one quantised now."""
    importer = load("penstock.compiler.importer")
    calibrate = load("penstock.compiler.calibration.run")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        metadata = {"thresholds": ",".join(map(str, thresholds(loaded)))}
        path.write_bytes(model.build_onnx(loaded.quantized, metadata).SerializeToString())
        trained = importer.import_onnx(path)
        path.write_bytes(model.build_float_onnx(loaded.net).SerializeToString())
        with step(f"quantise after training, {len(calibration)} images"):
            calibrated = calibrate.import_float(path, calibration)
    return {"integer": trained, "integer_after_training": calibrated}


def thresholds(loaded: Any) -> list[float]:
    """The thresholds of a checkpoint's early exits; empty where it has none."""
    found: list[float] = load("penstock.model.checkpoint.export").exit_thresholds(loaded)
    return found


def _classify(
    graph: Any, inputs: np.ndarray, progress: Callable[[int, int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Classes of images, float32 [N, C, H, W], by exact integers: (at the end, where each ends)."""
    interpreter = load("penstock.compiler.interpreter")
    numerics = load("penstock.compiler.numerics")
    image = graph.values[graph.input]
    classes: list[np.ndarray] = []
    ended: list[np.ndarray] = []
    outputs = [*(leave.logits for leave in graph.exits), graph.output]
    for start in range(0, len(inputs), BATCH):
        codes = numerics.quantize(inputs[start : start + BATCH], image.scale, image.signed)
        values = interpreter.run_graph(graph, codes)
        stages = np.stack([values[name].argmax(axis=1) for name in outputs])
        taken = interpreter.exits_taken(graph, values)
        classes.append(stages[-1])
        ended.append(np.take_along_axis(stages, taken[None], axis=0)[0])
        progress(min(start + BATCH, len(inputs)), len(inputs))
    return np.concatenate(classes).astype(np.int64), np.concatenate(ended).astype(np.int64)


def _tables(report: dict[str, Any]) -> list[Table]:
    """Accuracies side by side, then MACs an image."""
    accuracies = table(f"{report['network']} on {report['dataset']}", "accuracy", "")
    for name, value in report["accuracy"].items():
        accuracies.add_row(name.replace("_", " "), f"{value:.2%}")
    accuracies.add_row("test images", f"{report['images']:,}")
    macs = report["macs"]
    dense, gates = macs["dense"]["total"], macs["gates"]["total"]
    columns = ("mean", "of dense", "least", "5 %", "median", "95 %", "most")
    counts = table(f"MACs an image, convention {macs['convention']}", "", *columns)
    counts.add_row("dense", f"{dense:,}", "1.000")
    counts.add_row("gates", f"{gates:,}", f"{gates / dense:.3f}")
    for schedule, found in macs["executed"].items():
        spread = [f"{found['percentiles'][share]:,.0f}" for share in (0, 5, 50, 95, 100)]
        mean = found["mean"]
        counts.add_row(schedule, f"{mean:,.0f}", f"{mean / dense:.3f}", *spread)
    return [accuracies, counts, *_exit_tables(report)]


def _exit_tables(report: dict[str, Any]) -> list[Table]:
    """Stages of a split network at its thresholds, and accuracy against mean MACs."""
    if "exits" not in report:
        return []
    found, dense = report["exits"], report["macs"]["dense"]["total"]
    point = found["chosen"]
    stages = table(f"stages, {found['split']}", "", "threshold", "MACs", "images", "accuracy")
    limits = [f"{value:g}" for value in point["thresholds"]] + ["end"]
    rows = zip(limits, found["exit_macs"], point["shares"], point["accuracies"], strict=True)
    for number, (limit, macs, share, accuracy) in enumerate(rows, start=1):
        right = "" if accuracy is None else f"{accuracy:.2%}"
        stages.add_row(f"stage {number}", limit, f"{macs / dense:.3f}", f"{share:.1%}", right)
    ratio = f"{point['mac_ratio']:.3f}"
    stages.add_row("mean", "", ratio, "", f"{point['accuracy']:.2%}")
    sweep = table("accuracy against mean MACs", "thresholds", "of dense", "accuracy")
    every = max(1, len(found["sweep"]) // SWEEP_ROWS)
    for other in [*found["sweep"][:-1:every], *found["sweep"][-1:]]:
        chosen = ", ".join(f"{value:g}" for value in other["thresholds"])
        sweep.add_row(chosen, f"{other['mac_ratio']:.3f}", f"{other['accuracy']:.2%}")
    return [stages, sweep]

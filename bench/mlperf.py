"""`penstock bench mlperf`: the reference networks of MLPerf Tiny, as they are published.

A folder has them as ONNX files made by tf2onnx of the reference TFLite files, nothing edited:
`ic`, `vww`, `kws` and `ad`, each `_float.onnx` and `_int8.onnx`.  Each is compiled for `z7020` as
it is given and run on the simulated core, golden and the HLS core's C simulation; what is refused
stands in the table with its reason.  Float networks are calibrated with random images: none of
them has gates, so cycles do not depend on images.  With `--images x.npy --labels y.npy` (as the
file of image classification takes them) its accuracy is measured too, in golden and in
onnxruntime on the published file.  The figures are stored in bench/results/mlperf.json.

`--task ic --config z7020x2` measures one task on another core, without the C simulation, and leaves
the other figures as they are; with `--at-once 4` by a program for four images a run.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import rich_click as click

from penstock.bench.figures import RESULTS
from penstock.bench.options import store_option
from penstock.bench.rows.cases import bench_configs
from penstock.compiler.api import compile_onnx
from penstock.compiler.check import prepare
from penstock.compiler.check.reference import Reference
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.cost import Timing, predict_memory
from penstock.engines import Memory, mismatches, run_engine, run_onnx
from penstock.images import read_array
from penstock.program.base.errors import PenstockError
from penstock.program.base.files import write_text
from penstock.program.core.config import get_config
from penstock.progress import step

STORE = RESULTS / "mlperf.json"
CONFIG, BOARD = "z7020", "pynq-z2"
TASKS = {
    "ic": "image classification, ResNet-8",
    "vww": "visual wake words, MobileNetV1 0.25",
    "kws": "keyword spotting, DS-CNN",
    "ad": "anomaly detection, autoencoder",
}
FORMS = ("float", "int8")
#: Compared with golden; the first alone on another core than CONFIG.
ENGINES = ("rtl", "csim")
CALIBRATION = 8

Array = npt.NDArray[Any]


def random_images(path: Path, count: int) -> tuple[Array, bool]:
    """Images as the file takes them, and whether it is quantised."""
    graph = onnx.load_model_from_string(path.read_bytes()).graph
    weights = {tensor.name for tensor in graph.initializer}
    tensor = next(v for v in graph.input if v.name not in weights).type.tensor_type
    shape = (count, *(dim.dim_value for dim in tensor.shape.dim[1:]))
    random = np.random.default_rng(0)
    quantized = any(node.op_type == "QuantizeLinear" for node in graph.node)
    if tensor.elem_type == onnx.TensorProto.INT8:
        return random.integers(-128, 128, shape, dtype=np.int8), quantized
    return random.normal(0, 1, shape).astype(np.float32), quantized


def measure(
    path: Path,
    count: int,
    config: str,
    images: Array | None,
    labels: Array | None,
    at_once: int = 1,
) -> dict[str, Any]:
    """The stored result of one file; `at_once`: images a run."""
    drawn, quantized = random_images(path, CALIBRATION)
    given = None if images is None else _as_file(images, drawn.dtype)
    try:
        network = compile_onnx(
            path,
            get_config(config),
            calibration=None if quantized else (drawn if given is None else given[:256]),
            images=at_once,
        )
    except PenstockError as error:
        result: dict[str, Any] = {"refused": str(error)}
        if given is not None and labels is not None:
            right = labels[: len(given)]
            theirs = published(path, given).argmax(axis=1)
            result["accuracy"] = {
                "images": len(given),
                "published": float((theirs == right).mean()),
            }
        return result
    some = (drawn if given is None else given)[:count]
    runs, compared = {}, ENGINES[: None if config == CONFIG else 1]
    for engine in ("golden", *compared):
        with step(f"{path.stem}, {engine}, {count} images") as progress:
            runs[engine] = run_engine(engine, network, some, Memory(), progress)
    checked = network.check(some).checked
    assert checked is not None
    checked.require()
    result = {
        "cycles": runs["rtl"].mean("cycles"),
        "predicted": predicted(network, count, at_once),
        "macs": network.macs(runs["rtl"].scores).dense,
        "weight_bytes": runs["rtl"].mean("weight_bytes"),
        "read_bytes": runs["rtl"].mean("read_bytes"),
        "images": count,
        "at_once": at_once,
        "mismatches": {name: mismatches(runs["golden"], runs[name]) for name in compared},
        "host": [operators for _, operators in network.on_the_host()],
    }
    if given is not None and labels is not None:
        result["accuracy"] = accuracy(network, given, labels)
        result["accuracy"]["published"] = _share(published(path, given), labels)
    return result


def predicted(network: CompiledNetwork, count: int, at_once: int) -> float:
    """Cycles an image of `count` images, by the cost model: networks without gates."""
    runs = -(-count // at_once)
    memory = np.zeros((runs, 0), np.uint8)
    return float(predict_memory(network.package, memory, Timing()).cycles.mean()) / at_once


def _share(logits: Array, labels: Array) -> float:
    """The share of the images whose label has the largest logit."""
    return float((logits.argmax(axis=1) == labels[: len(logits)]).mean())


def published(path: Path, images: Array) -> Array:
    """What the file as it is published makes of images in onnxruntime."""
    model = prepare(onnx.load_model_from_string(path.read_bytes()))
    output = model.graph.output[0].name
    with step(f"{path.stem} in onnxruntime, {len(images)} images"):
        found = Reference(model, [output]).run(images)[output]
    return found.reshape(len(images), -1)


def _as_file(images: Array, kind: np.dtype[Any]) -> Array:
    """Pixels 0 .. 255 as a file takes them: float32, or int8 from -128."""
    wide = images.astype(np.float32)
    return wide if kind == np.float32 else (wide - 128).astype(np.int8)


def accuracy(network: CompiledNetwork, images: Array, labels: Array) -> dict[str, float]:
    """Of the integers (golden), and of the compiled file in onnxruntime."""
    with step(f"golden, {len(images)} images") as progress:
        ours = run_engine("golden", network, images, Memory(), progress).labels
    with step(f"onnxruntime, {len(images)} images"):
        theirs = run_onnx(network, images).argmax(axis=1)
    right = labels[: len(images)]
    return {
        "images": len(images),
        "integer": float((ours == right).mean()),
        "onnxruntime": float((theirs == right).mean()),
    }


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(min=1), default=2, help="Images on the core.")
@click.option(
    "--images",
    "images_path",
    type=click.Path(path_type=Path),
    help="Of image classification: uint8 N x 32 x 32 x 3.",
)
@click.option("--labels", "labels_path", type=click.Path(path_type=Path), help="N integers.")
@click.option("--task", "tasks", multiple=True, type=click.Choice([*TASKS]), help="Default: all.")
@click.option("--config", type=click.Choice(bench_configs()), default=CONFIG, show_default=True)
@click.option("--at-once", type=click.IntRange(min=1), default=1, help="Images a run.")
@store_option(STORE)
def main(
    folder: Path,
    count: int,
    images_path: Path | None,
    labels_path: Path | None,
    tasks: tuple[str, ...],
    config: str,
    at_once: int,
    store: Path,
) -> int:
    """Run MLPerf Tiny's reference networks of FOLDER (ic_float.onnx, ...) as they are published.

    With --images and --labels the accuracy of image classification too. Exit code 1 if a byte
    differs.
    """
    images = None if images_path is None else read_array(images_path)
    labels = None if labels_path is None else read_array(labels_path)
    found = {}
    for task in tasks or TASKS:
        for form in FORMS:
            path = folder / f"{task}_{form}.onnx"
            if not path.is_file():
                raise PenstockError(f"{path} is not there", hint="see --help")
            own = (images, labels) if task == "ic" else (None, None)
            name = f"{task}_{form}" if at_once == 1 else f"{task}_{form}_{at_once}"
            found[name] = measure(path, count, config, *own, at_once=at_once)
    stored = stored_figures(store)
    if config == CONFIG:
        stored["networks"] |= found
    else:
        stored["others"].setdefault(config, {}).update(found)
    write_text(store, json.dumps(stored, indent=1) + "\n")
    differ = sum(sum(r.get("mismatches", {}).values()) for r in found.values())
    print(f"{store}: {sum('refused' not in r for r in found.values())} of "
          f"{len(found)} compile as given, {differ} bytes differ")  # fmt: skip
    return int(differ > 0)


def stored_figures(path: Path) -> dict[str, Any]:
    """What was measured last: `networks` on CONFIG, `others` by core."""
    empty: dict[str, Any] = {"config": CONFIG, "board": BOARD, "networks": {}, "others": {}}
    if path.is_file():
        read = json.loads(path.read_text(encoding="utf-8"))
        empty |= {key: read[key] for key in ("networks", "others") if key in read}
    return empty

"""Which of the ONNX files in a folder compile as they are, and what stops the others.

Every file is compiled for the first of the configurations that it fits - with random calibration
images where it is in floating point - and compared with onnxruntime on its quantised file, layer by
layer.  The table is one of what is accepted: random images say nothing of accuracy.
"""

import dataclasses
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import rich_click as click

from penstock.bench.options import images_option
from penstock.compiler.api import compile_onnx
from penstock.compiler.check import CheckError
from penstock.compiler.compiled import CompiledNetwork
from penstock.program.base.errors import PenstockError
from penstock.program.base.files import write_text
from penstock.program.core.config import get_config

TRIED = "z7020,zcu104"
IMAGES = 2
#: Reasons that a larger configuration may do away with.
TOO_LARGE = re.compile(
    r"feature memory|weight buffer|gate memory|score memory|at most \d+$|has at most"
)
#: Operators that only quantised files have: ONNX's, QONNX's.
QUANTIZERS = ("QuantizeLinear", "Quant")
#: NumPy's types of the images that are drawn, by ONNX's.
TYPES = {
    onnx.TensorProto.INT8: np.int8,
    onnx.TensorProto.UINT8: np.uint8,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file.

    Attributes:
        verdict: "ok", "wrong" (a layer differs by more than rounding), "refused", or "error": no
            word of this project's, a fault.
        detail: the configuration and what the host does, or the message.
    """

    name: str
    verdict: str
    detail: str
    seconds: float


def try_file(path: Path, configs: Sequence[str], count: int) -> Outcome:
    """Compile and check one file."""
    started = time.perf_counter()
    try:
        verdict, detail = "ok", _described(_compiled(path, configs, count))
    except CheckError as error:
        verdict, detail = "wrong", str(error)
    except PenstockError as error:
        verdict, detail = "refused", str(error)
    except Exception as error:  # the purpose is to find them
        verdict, detail = "error", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    seconds = time.perf_counter() - started
    return Outcome(name=path.stem, verdict=verdict, detail=detail, seconds=seconds)


def _compiled(path: Path, configs: Sequence[str], count: int) -> CompiledNetwork:
    """The checked network on the first configuration that it fits."""
    images, quantized = _images(path, count)
    for name in configs:
        try:
            network = compile_onnx(
                path, get_config(name), calibration=None if quantized else images
            )
        except PenstockError as error:
            if name == configs[-1] or not TOO_LARGE.search(str(error)):
                raise
            continue
        network = network.check(images)
        assert network.checked is not None
        network.checked.require()
        return network
    raise AssertionError("no configuration")


def _images(path: Path, count: int) -> tuple[npt.NDArray[Any], bool]:
    """Random images as the file takes them, and whether it is quantised."""
    try:
        graph = onnx.load_model_from_string(path.read_bytes()).graph
    except Exception:  # the compiler says what is wrong with it
        return np.zeros((count, 1, 1, 1), np.float32), False
    quantized = any(node.op_type in QUANTIZERS for node in graph.node)
    weights = {tensor.name for tensor in graph.initializer}
    tensor = next(
        (v.type.tensor_type for v in graph.input if v.name not in weights),
        onnx.TypeProto.Tensor(),
    )
    shape = (count, *(max(dim.dim_value, 1) for dim in tensor.shape.dim[1:]))
    random = np.random.default_rng(0)
    kind = TYPES.get(tensor.elem_type)
    if kind is not None:
        info = np.iinfo(kind)
        return random.integers(info.min, info.max + 1, shape, dtype=kind), quantized
    return random.normal(0, 1, shape).astype(np.float32), quantized


def _described(network: CompiledNetwork) -> str:
    ends = "".join(f"; {where}: {what}" for where, what in network.on_the_host())
    return f"{network.package.config.name}{ends}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: the count, then a row a file."""
    lines = [
        f"{sum(o.verdict == 'ok' for o in outcomes)} of {len(outcomes)} files compile as they are "
        "and equal onnxruntime layer by layer, but for rounding.",
        "",
        "| file | | configuration, or what stops it |",
        "|---|---|---|",
    ]
    lines += [f"| {o.name} | {o.verdict} | {o.detail.replace('|', '/')} |" for o in outcomes]
    return "\n".join(lines) + "\n"


def run(folder: Path, configs: Sequence[str], count: int) -> Iterator[Outcome]:
    """Every .onnx file of a folder, by name."""
    for path in sorted(folder.glob("**/*.onnx")):
        yield try_file(path, configs, count)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the table there.")
@click.option("--config", default=TRIED, show_default=True, help="Tried in this order.")
@images_option(2)
def main(folder: Path, output: Path | None, config: str, images: int) -> int:
    """Compile every ONNX file in FOLDER as it is, and say what stops the others.

    Each is compiled for the first of the configurations that it fits - with random calibration
    images where it is in floating point - and compared with onnxruntime on its quantised file,
    layer by layer. Exit code 1 if a file is wrong, or ends in an error of Python's.
    """
    configs = [get_config(name).name for name in config.split(",")]
    outcomes = []
    for outcome in run(folder, configs, images):
        outcomes.append(outcome)
        line = f"{outcome.seconds:6.1f} s  {outcome.verdict:8s} {outcome.name}"
        print(f"{line}: {outcome.detail}", flush=True)
    if not outcomes:
        raise PenstockError(f"{folder} holds no .onnx file")
    if output is not None:
        write_text(output, table(outcomes))
    print(table(outcomes).splitlines()[0])
    return int(any(o.verdict in ("wrong", "error") for o in outcomes))

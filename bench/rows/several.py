"""`penstock bench several`: networks without gates, several images a run.

A row is one run on the simulated core: its results are compared with golden's and with those of
the program for one image a run.  It stores also the cost model's cycles by stage and kind.
"""

import dataclasses
import json
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.bench.figures import RESULTS
from penstock.bench.rows.layers import kind_of
from penstock.bench.rows.networks import network_inputs, network_onnx
from penstock.bench.rows.run import OUT
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.summary import estimate
from penstock.program.base.files import write_text
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.sim.golden import run as run_golden
from penstock.sim.rtl.engine import RtlCore

STORE = RESULTS / "several.json"
CONFIG = "z7020"
#: Images a run, by network.
ROWS: dict[str, tuple[int, ...]] = {"vgg16": (1, 2, 3, 4, 8), "mobilenetv2": (1, 3)}
#: Of which the second table is.
LAYERS, TOGETHER = "vgg16", 3
NO_SCORES = np.zeros((1, 0), np.uint8)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run of `images` images; cycles, predicted cycles and weight bytes are the run's."""

    network: str
    images: int
    cycles: int
    predicted: int
    weight_bytes: int
    macs: int  # an image
    mismatches: int


def compiled(network: str, images: int) -> CompiledNetwork:
    """The Program of a row."""
    path = network_onnx(network, OUT / "networks")
    return compile_onnx(path, get_config(CONFIG), images=images)


def measure(
    network: str, images: int, pixels: npt.NDArray[np.float32], single: npt.NDArray[Any]
) -> Row:
    """One run, of the first `images` images; `single`: the logits of one image a run."""
    net = compiled(network, images)
    inputs = net.quantize_input(pixels[:images])
    golden = run_golden(net.package, inputs)
    core = RtlCore(CONFIG, assertions=False)
    records = core.run(net.package, inputs)
    core.close()
    differ = int((records[:, COUNTER_BYTES:] != golden[:, COUNTER_BYTES:]).sum())
    decoded = net.decode_output(records)
    differ += int((decoded.logits != single[:images]).sum())
    differ += int(decoded.counters["weight_bytes"][0] != _counted(net, golden))
    return Row(
        network=network,
        images=images,
        cycles=int(decoded.counters["cycles"][0]),
        predicted=int(net.predict({}).cycles[0]),
        weight_bytes=_counted(net, golden),
        macs=net.macs({}).dense,
        mismatches=differ,
    )


def _counted(net: CompiledNetwork, records: npt.NDArray[np.uint8]) -> int:
    return int(net.decode_output(records).counters["weight_bytes"][0])


def singles(network: str, pixels: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Logits of the images, by golden, one image a run."""
    net = compiled(network, 1)
    inputs = net.quantize_input(pixels)
    return net.decode_output(run_golden(net.package, inputs)).logits


def by_kind(net: CompiledNetwork) -> dict[str, tuple[float, float]]:
    """Stage and kind -> (cycles, MACs) an image by the cost model, what takes cycles alone."""
    found: dict[str, tuple[float, float]] = {}
    for layer in estimate(net.package, NO_SCORES, 100.0)["layers"]:
        name = kind_of(Op[layer["op"]], layer["name"])
        cycles, macs = found.get(name, (0.0, 0.0))
        found[name] = cycles + layer["cycles"], macs + layer["macs"]
    return {name: both for name, both in found.items() if both[0]}


@click.command()
def main() -> int:
    """Run networks without gates, several images a run, and store what they take.

    Exit code 1 if a byte differs.
    """
    rows = []
    for network, counts in ROWS.items():
        pixels = network_inputs(network, max(counts))
        single = singles(network, pixels)
        for images in counts:
            rows.append(measure(network, images, pixels, single))
            print(rows[-1], file=sys.stderr, flush=True)
    kinds = {str(images): by_kind(compiled(LAYERS, images)) for images in (1, TOGETHER)}
    figures = {
        "rows": [dataclasses.asdict(row) for row in rows],
        "layers": {"network": LAYERS, "cycles_macs": kinds},
    }
    write_text(STORE, json.dumps(figures, indent=1) + "\n")
    return int(any(row.mismatches for row in rows))

"""`penstock bench several`: networks without gates, several images a run.

A row is one run on the simulated core: its results are compared with golden's and with those of
the program for one image a run.  The second table has the cost model's cycles by stage and kind.
"""

import dataclasses
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.bench.rows.layers import kind_of
from penstock.bench.rows.networks import network_inputs, network_onnx
from penstock.bench.rows.run import DOCUMENT, OUT
from penstock.bench.tables.documents import put_into
from penstock.boards.board import load_board
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.summary import estimate
from penstock.program.config import get_config
from penstock.program.counters import COUNTER_BYTES
from penstock.program.descriptor import Op
from penstock.sim.golden import run as run_golden
from penstock.sim.rtl.engine import RtlCore

CONFIG = "z7020"
#: Images a run, by network.
ROWS: dict[str, tuple[int, ...]] = {"vgg16": (1, 2, 3, 4, 8), "mobilenetv2": (1, 3)}
#: Of which the second table is.
LAYERS, TOGETHER = "vgg16", 3
#: Whose clock gives the milliseconds, an estimate (docs/timing.md).
CLOCK_MHZ = load_board("pynq-z2").clock("rtl", CONFIG)
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

    @property
    def cells(self) -> list[str]:
        """The row of the table."""
        config = get_config(CONFIG)
        each = self.cycles / self.images
        return [
            self.network,
            str(self.images),
            f"{self.cycles:,}",
            f"{each:,.0f}",
            f"{self.predicted / self.cycles - 1:+.2%}",
            f"{self.macs / (each * config.p_oc * config.p_px):.3f}",
            f"{self.weight_bytes / self.images:,.0f}",
            f"{self.cycles / CLOCK_MHZ / 1e3:.1f}",
            str(self.mismatches),
        ]


HEAD = ("network", "images a run", "cycles a run", "cycles an image", "model", "utilisation",
        "weight bytes an image", f"latency, ms at {CLOCK_MHZ} MHz (*estimate*)",
        "bytes that differ")  # fmt: skip


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


def run_table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row.cells) + " |" for row in rows])


def by_kind(net: CompiledNetwork) -> dict[str, tuple[float, float]]:
    """Stage and kind -> (cycles, MACs) an image by the cost model, what takes cycles alone."""
    found: dict[str, tuple[float, float]] = {}
    for layer in estimate(net.package, NO_SCORES, CLOCK_MHZ)["layers"]:
        name = kind_of(Op[layer["op"]], layer["name"])
        cycles, macs = found.get(name, (0.0, 0.0))
        found[name] = cycles + layer["cycles"], macs + layer["macs"]
    return {name: both for name, both in found.items() if both[0]}


def layer_table(network: str, images: int) -> str:
    """Cycles an image and utilisation by stage and kind, for one and for several images a run."""
    config = get_config(CONFIG)
    alone, together = (by_kind(compiled(network, count)) for count in (1, images))
    lines = [
        f"| {network} on {CONFIG} | cycles, one image a run | utilisation "
        f"| cycles, {images} images a run | utilisation |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in dict.fromkeys([*alone, *together]):
        cells = [name]
        for found in (alone, together):
            cycles, macs = found.get(name, (0.0, 0.0))
            used = f"{macs / (cycles * config.p_oc * config.p_px):.3f}" if macs else ""
            cells += [f"{cycles:,.0f}" if cycles else "", used]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice([*ROWS]))
@click.option("--update", is_flag=True, help="Also put the tables into docs/results.md.")
def main(networks: tuple[str, ...], update: bool) -> int:
    """Run networks without gates, several images a run; exit code 1 if a byte differs."""
    if networks and update:
        raise click.UsageError("--update replaces the whole table: leave --network out")
    rows = []
    for network in networks or ROWS:
        pixels = network_inputs(network, max(ROWS[network]))
        single = singles(network, pixels)
        for images in ROWS[network]:
            rows.append(measure(network, images, pixels, single))
            print("| " + " | ".join(rows[-1].cells) + " |", file=sys.stderr, flush=True)
    tables = {"several": run_table(rows), "several-layers": layer_table(LAYERS, TOGETHER)}
    print("\n\n".join(tables.values()))
    if update:
        for name, table in tables.items():
            put_into(DOCUMENT, name, table)
    return int(any(row.mismatches for row in rows))

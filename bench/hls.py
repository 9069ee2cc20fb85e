"""`penstock bench hls`: cycles of the HLS core, by its own model, against the RTL core's.

The HLS column is an estimate: C simulation counts it with the constants of
program/core/hls_timing.py.
The RTL column is simulated (rtl-sim), from the cache of the benchmark where that has it.
"""

import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import rich_click as click

from penstock.bench.cache import Cache
from penstock.bench.rows.cases import Case, dense_case
from penstock.bench.rows.forced import forced_inputs, forced_package, forced_records
from penstock.bench.rows.networks import NETWORKS, TRAINED
from penstock.bench.rows.run import DEMO, compiled, float_images, measure, row_cache
from penstock.compiler.estimate.masks import forced_scores
from penstock.program.core.config import CONFIGS
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim.csim.engine import CsimCore
from penstock.sim.golden import run as run_golden

#: Shares of the channels that are kept; None: the trained network's own masks.
KEEPS = (1.0, 0.5, 0.3)
IMAGES = 2
TRAINED_IMAGES = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Mean cycles an image; `differ`: bytes that differ from golden's."""

    network: str
    masks: str
    rtl: float
    hls: float
    differ: int
    counters: dict[str, float]


def hls_cases(network: str, config: str) -> Iterator[Case]:
    """Dense first, then with masks."""
    trained = network == TRAINED
    dense = dense_case(network, config, TRAINED_IMAGES if trained else IMAGES)
    for keep in (1.0, None) if trained else KEEPS:
        skipped = None if keep is None else 0.0
        yield dataclasses.replace(dense, keep=keep, blocks_skipped=skipped)


def hls_row(case: Case, cache: Cache) -> Row:
    """One case on both cores."""
    network = compiled(case.network, case.config, case.schedule, case.split)
    inputs = network.quantize_input(float_images(case))
    package, core = network.package, CsimCore(case.config)
    if case.keep is None:
        records, golden = core.run(package, inputs), run_golden(package, inputs)
    else:
        rng = np.random.default_rng([int(1000 * case.keep), 0])
        memory = forced_scores(package, len(inputs), keep=case.keep, blocks_skipped=0.0, rng=rng)
        package, doubled = forced_package(package, memory), forced_inputs(inputs)
        records = forced_records(core.run(package, doubled))
        golden = forced_records(run_golden(package, doubled))
    measured = cache.get(case)
    if measured is None:
        measured = measure(case)
        cache.put(case, measured)
    counters = network.decode_output(records).counters
    return Row(
        network=case.network,
        masks="own" if case.keep is None else "dense" if case.is_dense else f"keep {case.keep}",
        rtl=measured.cycles,
        hls=float(counters["cycles"].mean()),
        differ=int((records[:, COUNTER_BYTES:] != golden[:, COUNTER_BYTES:]).sum()),
        counters={name: float(values.mean()) for name, values in counters.items()},
    )


def hls_table(rows: list[Row]) -> str:
    """Markdown; the speed-up is against the dense row of the same network."""
    lines = [
        "| network | masks | RTL cycles (rtl-sim) | HLS cycles (*estimate*) | HLS / RTL "
        "| speed-up RTL | speed-up HLS |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    dense = {row.network: row for row in rows if row.masks == "dense"}
    for row in rows:
        base = dense[row.network]
        lines.append(
            f"| {row.network} | {row.masks} | {row.rtl:,.0f} | {row.hls:,.0f} "
            f"| {row.hls / row.rtl:.3f} | {base.rtl / row.rtl:.2f} | {base.hls / row.hls:.2f} |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice([*NETWORKS, TRAINED]))
@click.option("--config", type=click.Choice([*CONFIGS]), default="z7020", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, every counter too.")
def main(networks: tuple[str, ...], config: str, as_json: bool) -> int:
    """Compare cycles of the HLS core (estimate) with the RTL core's (rtl-sim).

    Exit code 1 if a byte differs from golden's.
    """
    trained = [TRAINED] if (DEMO / "net.onnx").is_file() else []
    names = networks or ("resnet20", *trained)
    cache = row_cache()
    rows = [hls_row(case, cache) for name in names for case in hls_cases(name, config)]
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        print(hls_table(rows))
    return 1 if any(row.differ for row in rows) else 0

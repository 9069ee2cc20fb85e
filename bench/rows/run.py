"""`penstock bench rows`: every row, measured or from the cache.

A row that was measured with the same sources is not measured again, so an interrupted run resumes.
"""

import functools
import hashlib
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import rich_click as click
from rich.progress import Progress

from penstock.bench.cache import Cache, source_hash
from penstock.bench.figures import ROOT
from penstock.bench.rows.cases import (
    ROWS,
    TRAINED_ROWS,
    Case,
    bench_configs,
    forced_cases,
    static_case,
    trained_cases,
)
from penstock.bench.rows.measure import Measured, measure_forced, measure_own
from penstock.bench.rows.networks import NETWORKS, STATIC, TRAINED, network_inputs, network_onnx
from penstock.bench.rows.table import bench_row, store
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.masks import forced_scores
from penstock.program.core.config import get_config

OUT = ROOT / "build" / "bench"
DEMO = ROOT / "build" / "demo"

#: Images of the trained network.
TRAINED_IMAGES = {False: 100, True: 20}


@functools.lru_cache(maxsize=4)
def compiled(network: str, config: str, schedule: str, split: bool) -> CompiledNetwork:
    """The Program of a row."""
    path = DEMO / "net.onnx" if network == TRAINED else network_onnx(network, OUT / "networks")
    return compile_onnx(path, get_config(config), schedule, reshape=split)


def float_images(case: Case) -> np.ndarray:
    """float32 (images, C, H, W) of a row."""
    if case.network == TRAINED:
        return np.load(DEMO / "images.npy")[: case.images]
    return network_inputs(case.network, case.images)


def measure(case: Case, progress: Progress | None = None) -> Measured:
    """Run one row."""
    network = compiled(case.network, case.config, case.schedule, case.split)
    inputs = network.quantize_input(float_images(case))
    if progress is None:
        callback = None
    else:
        task = progress.add_task(f"  {case.images} images", total=case.images)

        def callback(done: int, total: int) -> None:
            progress.update(task, completed=done * case.images / total)

    try:
        if case.keep is None:
            return measure_own(network, inputs, callback)
        shares = [int(1000 * share) for share in (case.keep, case.blocks_skipped or 0.0)]
        memory = forced_scores(
            network.package,
            len(inputs),
            keep=case.keep,
            blocks_skipped=case.blocks_skipped or 0.0,
            rng=np.random.default_rng(shares),
        )
        return measure_forced(network, inputs, memory, callback)
    finally:
        if progress is not None:
            progress.remove_task(task)


def cases(quick: bool, networks: Sequence[str], configs: Sequence[str]) -> Iterator[Case]:
    """Every row of what fits, on `configs` or the network's own; says on stderr what does not."""
    for network in networks:
        for config in configs or ROWS.get(network, TRAINED_ROWS):
            try:
                compiled(network, config, "sequential", True)
            except CompileError as error:
                print(f"no rows for {network} on {config}: {error}", file=sys.stderr)
                continue
            if network in STATIC:
                yield static_case(network, config)
            elif network == TRAINED:
                yield from trained_cases(network, config, TRAINED_IMAGES[quick])
            else:
                yield from forced_cases(network, config, quick=quick)


def measure_all(todo: list[Case], cache: Cache) -> dict[Case, Measured]:
    """Every case; the progress is on stderr."""
    results: dict[Case, Measured] = {}
    with Progress() as progress:
        task = progress.add_task("rows", total=len(todo))
        for case in todo:
            measured = cache.get(case)
            if measured is None:
                measured = measure(case, progress)
                cache.put(case, measured)
            error = measured.predicted / measured.cycles - 1
            progress.console.print(
                f"{case.label}: {measured.cycles:,.0f} cycles, model {error:+.2%}, "
                f"{measured.mismatches} mismatches",
                highlight=False,
            )
            results[case] = measured
            progress.advance(task)
    return results


def row_cache() -> Cache:
    """Rows that were measured with these sources, and with the trained network as it is."""
    inputs = [
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (DEMO / "net.onnx", DEMO / "images.npy")
        if path.is_file()
    ]
    return Cache(OUT / "rows", source_hash(), inputs)


@click.command()
@click.option("--quick", is_flag=True, help="Few images, few masks, ResNet-20.")
@click.option(
    "--network", "chosen", multiple=True, type=click.Choice([*NETWORKS, *STATIC, TRAINED])
)
@click.option("--config", "configs", multiple=True, type=click.Choice(bench_configs()))
@click.option("--cached", is_flag=True, help="Only rows measured already.")
def main(quick: bool, chosen: tuple[str, ...], configs: tuple[str, ...], cached: bool) -> int:
    """Measure networks with masks of every kind on the core, and store the rows.

    A row that was measured with the same sources is not measured again. --quick stores none. Exit
    code 1 if a byte differs.
    """
    networks = ["resnet20"] if quick else [*NETWORKS, *STATIC]
    if (DEMO / "net.onnx").is_file():
        networks.append(TRAINED)
    else:
        print("no rows for the trained network: run `make demo` first", file=sys.stderr)
    todo = list(cases(quick, chosen or networks, configs))
    cache = row_cache()
    if cached:
        todo = [case for case in todo if cache.get(case) and cache.get(case.dense)]
    results = measure_all(todo, cache)
    rows = [bench_row(case, found, results[case.dense]) for case, found in results.items()]
    if not quick:
        store(rows)
    print(f"{len(rows)} rows", file=sys.stderr)
    return int(any(row["mismatches"] for row in rows))

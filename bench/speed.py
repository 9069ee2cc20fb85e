"""`penstock bench speed`: how many cycles of the core are simulated a second of CPU time."""

import tempfile
import time
from pathlib import Path

import rich_click as click

from penstock.bench.rows.networks import network_inputs, network_onnx
from penstock.compiler.api import compile_onnx
from penstock.compiler.compiled import CompiledNetwork
from penstock.program.core.config import CONFIGS, get_config
from penstock.sim.job import Job
from penstock.sim.rtl.engine import RtlCore

#: Its layers fill the array's rows and windows; random weights do.
NETWORK = "resnet20"


def cycles_a_second(compiled: CompiledNetwork, *, assertions: bool, runs: int = 4) -> float:
    """The best of a few runs of one image: other work on the machine only makes it slower."""
    config = compiled.package.config
    inputs = compiled.quantize_input(network_inputs(NETWORK, 1))
    core = RtlCore(config, assertions=assertions)
    best = 0.0
    for _ in range(runs):
        started = time.process_time()
        result = core.execute(Job.of(compiled.package, inputs))
        best = max(best, result.cycles / (time.process_time() - started))
    core.close()
    return best


@click.command()
@click.option("--config", "name", type=click.Choice([*CONFIGS]), default="z7020", show_default=True)
def main(name: str) -> None:
    """Count the core's cycles that are simulated a second, with and without assertions."""
    config = get_config(name)
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_onnx(network_onnx(NETWORK, Path(folder)), config)
    for assertions in (False, True):
        speed = cycles_a_second(compiled, assertions=assertions)
        kind = "with assertions" if assertions else "without assertions"
        print(f"{config.name}, {kind}: {speed / 1e6:.2f} M cycles/s")

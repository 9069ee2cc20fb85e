"""`penstock estimate`: latency, frames a second, bytes: the cost model, nothing is simulated."""

from pathlib import Path
from typing import Any

import rich_click as click

from penstock.cli.compiled import (
    SEED,
    calibration_option,
    images_option,
    load_network,
    read_calibration,
)
from penstock.cli.errors import InputError, load
from penstock.cli.output import emit, json_option, table, warn
from penstock.program.core.hardware import NAMES, hardware
from penstock.progress import step

SHARE = click.FloatRange(0, 1)


@click.command(
    epilog="""Examples:\n
    penstock estimate net.onnx --config z7020\n
    penstock estimate net.onnx --keep 0.5 --blocks-skipped 0.33 --board zcu104\n
    penstock estimate build/net --clock 125 --json -\n
    penstock estimate vgg16.onnx --images 3\n
    penstock estimate float.onnx --calibration images.npy
    """
)
@click.argument("network", type=click.Path(path_type=Path))
@click.option(
    "--config",
    "config_name",
    metavar="NAME",
    help=f"Hardware configuration: {NAMES} (default: z7020, or the one compiled for).",
)
@click.option("--schedule", type=click.Choice(["sequential", "parallel"]), help="As for compile.")
@images_option
@calibration_option
@click.option("--keep", type=SHARE, default=1.0, show_default=True, help="Channels kept, a share.")
@click.option(
    "--blocks-skipped", type=SHARE, default=0.0, show_default=True, help="Blocks skipped, a share."
)
@click.option(
    "--masks", type=click.IntRange(1, 10000), default=20, show_default=True, help="Random masks."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the masks.")
@click.option(
    "--board", default="pynq-z2", show_default=True, help="Whose clock to use, an estimate itself."
)
@click.option("--clock", type=click.FloatRange(1, 1000), metavar="MHZ", help="Another clock.")
@json_option
def estimate(
    network: Path,
    config_name: str | None,
    schedule: str | None,
    images: int | None,
    calibration: Path | None,
    keep: float,
    blocks_skipped: float,
    masks: int,
    seed: int,
    board: str,
    clock: float | None,
    json_to: str | None,
) -> None:
    """Estimate what a NETWORK (an ONNX file or a compiled folder) takes on a core.

    Every figure is a mean over random masks in which a channel is kept with probability --keep and
    the given share of the blocks is skipped; the default is every gate open.
    """
    loaded = _loaded(network, config_name, schedule, images, calibration)
    warn(loaded.warnings)
    found = loaded.estimate(keep, blocks_skipped, masks=masks, seed=seed, board=board, clock=clock)
    figures = found.figures | {"warnings": list(loaded.warnings)}
    emit(figures, json_to, *_tables(figures, str(network)))


def _loaded(
    network: Path,
    config_name: str | None,
    schedule: str | None,
    images: int | None,
    calibration: Path | None,
) -> Any:
    """The `penstock.Network`: loaded, or compiled from an ONNX file."""
    if network.is_dir() or network.suffix == ".pspkg":
        loaded = load_network(network)
        compiled = loaded.compiled
        if config_name is not None:
            compiled.package.require(hardware(config_name))
        if schedule not in (None, compiled.package.meta["schedule"]):
            raise InputError(
                f"{network} was compiled for the schedule {compiled.package.meta['schedule']}",
                hint="give the ONNX file",
            )
        if calibration is not None:
            raise InputError(f"{network} is quantised already", hint="leave --calibration out")
        if images not in (None, compiled.images):
            raise InputError(
                f"{network} was compiled for {compiled.images} images a run",
                hint="give the ONNX file",
            )
        return loaded
    if not network.is_file():
        raise InputError(f"cannot read {network}: no such file", hint="penstock export makes one")
    config = hardware(config_name or "z7020")
    return load("penstock.building").build(
        network,
        calibration=read_calibration(calibration),
        target=config,
        schedule=schedule,
        images=images or 1,
        check=False,
        step=step,
    )


def _tables(figures: dict[str, Any], title: str) -> list[Any]:
    """The totals, then a line a descriptor that takes time."""
    totals = table(f"{title} on {figures['config']} (estimate)", "", "")
    totals.add_row("cycles an image", f"{figures['cycles']:,.0f}")
    if figures["images"] > 1:
        totals.add_row("images a run", str(figures["images"]))
    clock = f"{figures['clock_mhz']:g} MHz ({figures['clock_source']})"
    totals.add_row(f"latency at {clock}", f"{figures['latency_ms']:.3f} ms")
    totals.add_row("images a second", f"{figures['fps']:,.0f}")
    totals.add_row("MACs executed", f"{figures['macs']:,.0f}")
    totals.add_row("MAC utilisation", f"{figures['utilisation']:.3f}")
    totals.add_row("weight bytes", f"{figures['weight_bytes']:,.0f}")
    lines = table("descriptors", "name", "op", "cycles", "MACs", "weight bytes", "utilisation")
    for layer in figures["layers"]:
        if layer["cycles"]:
            lines.add_row(
                layer["name"],
                layer["op"],
                f"{layer['cycles']:,.0f}",
                f"{layer['macs']:,.0f}",
                f"{layer['weight_bytes']:,.0f}",
                f"{layer['utilisation']:.3f}",
            )
    return [totals, lines]

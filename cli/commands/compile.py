"""`penstock compile`: ONNX -> Program."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.table import Table

from penstock.cli.check import check_options, check_rows, images_to_check
from penstock.cli.compiled import (
    calibration_option,
    images_option,
    read_calibration,
)
from penstock.cli.errors import InputError, load
from penstock.cli.exits import thresholds_option
from penstock.cli.files import force_option
from penstock.cli.output import emit, json_option, note, table, warn
from penstock.program.base.folder import check_folder
from penstock.program.core.hardware import NAMES, hardware
from penstock.progress import step

if TYPE_CHECKING:
    from penstock.compiler.compiled import CompiledNetwork


@click.command(
    "compile",
    epilog="""Examples:\n
    penstock compile net.onnx --config z7020 -o build/net\n
    penstock compile net.onnx --config tiny --schedule parallel -o build/net\n
    penstock compile float.onnx --calibration images.npy -o build/net\n
    penstock compile exits.onnx --thresholds 0.9,0.8 -o build/net\n
    penstock compile vgg16.onnx --images 3 -o build/net\n
    penstock compile net.onnx --check-images x.npy -o build/net\n
    penstock compile net.onnx --config my_core.yaml -o build/net
    """,
)
@click.argument("onnx", type=click.Path(path_type=Path))
@click.option(
    "--config",
    "config_name",
    default="z7020",
    show_default=True,
    metavar="NAME",
    help=f"Hardware configuration: {NAMES}.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write."
)
@click.option(
    "--schedule",
    type=click.Choice(["sequential", "parallel"]),
    help="When gates run: before their block, or beside its first convolution "
    "(default: what the file says, else sequential).",
)
@calibration_option
@click.option(
    "--reshape/--no-reshape",
    default=True,
    help="Reshape the array for the remainder of a list of channels (the results are the same).",
)
@check_options
@images_option
@thresholds_option
@force_option
@json_option
def compile_command(
    onnx: Path,
    config_name: str,
    output: Path,
    schedule: str | None,
    calibration: Path | None,
    reshape: bool,
    check: bool | None,
    check_images: Path | None,
    images: int | None,
    thresholds: tuple[float, ...] | None,
    force: bool,
    json_to: str | None,
) -> None:
    """Compile an ONNX file to a program for one hardware configuration.

    The operators, shapes and scales are checked first; what the core cannot do is refused with
    the node, the reason and a hint.  With images, the program is then checked against the file in
    onnxruntime.
    """
    config = hardware(config_name)
    if not onnx.is_file():
        raise InputError(f"cannot read {onnx}: no such file", hint="penstock export makes one")
    check_folder(output, "compile", force=force)
    samples = read_calibration(calibration)
    network = load("penstock.building").build(
        onnx,
        calibration=samples,
        target=config,
        schedule=schedule,
        thresholds=thresholds,
        images=images or 1,
        reshape=reshape,
        check=images_to_check(check, check_images, samples),
        step=step,
    )
    if network.unchecked:
        note(f"not checked: {network.unchecked}")
    network.save(output, force=force)
    warn(network.warnings)
    figures, result = shown(network.compiled, onnx, output)
    emit(figures, json_to, result)


def shown(compiled: "CompiledNetwork", onnx: Path, output: Path) -> tuple[dict[str, Any], Table]:
    """The figures of a compiled network, as JSON and as a table."""
    package = compiled.package
    figures: dict[str, Any] = {
        "network": package.meta["network"],
        "config": package.config.name,
        "images": package.meta["images"],
        "config_hash": f"{package.config_hash:#010x}",
        "output": str(output),
        "descriptors": package.n_descriptors,
        "weight_bytes": len(package.weights),
    }
    result = table(f"{onnx} -> {output}", "", "")
    for name, value in figures.items():
        result.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else value)
    figures["host"] = dict(compiled.on_the_host())
    for where, operators in figures["host"].items():
        result.add_row(where, operators)
    if compiled.checked is not None:
        figures["check"] = compiled.checked.figures()
        for row in check_rows(compiled.checked):
            result.add_row(*row)
    return figures | {"warnings": list(compiled.warnings)}, result

"""`penstock hls`: the accelerator as a Vitis HLS project, checked in C simulation."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.cli.compiled import load_network, read_images
from penstock.cli.errors import MISMATCH, InputError, load
from penstock.cli.files import force_option
from penstock.cli.output import emit, json_option, note, table, warn
from penstock.program.base.arith import ceil_div
from penstock.program.base.files import write_text
from penstock.program.base.folder import check_folder, write_folder
from penstock.program.core.hardware import hardware
from penstock.progress import step

#: Images of the test bench, unless --limit says otherwise: co-simulation takes hours for more.
DEFAULT_IMAGES = 2
#: By which a folder is known as a project of this command.
COMMAND = "hls"


def parse_steps(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The steps of "csim,csynth" in the order in which they run; InputError on an unknown one."""
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - set(known)):
        raise InputError(f"unknown step '{unknown[0]}'", hint=f"one of {', '.join(known)}")
    return tuple(name for name in known if name in names)


@click.command(
    "hls",
    epilog="""Examples:\n
    penstock hls build/net --board pynq-z2 -o build/hls\n
    penstock hls build/net --board zcu104 --images x.npy --limit 20 -o build/hls\n
    penstock hls build/net --clock 80 -o build/hls\n
    penstock hls build/net --steps csim,csynth -o build/hls --json -
    """,
)
@click.argument("network", type=click.Path(path_type=Path))
@click.option(
    "--config",
    "config_name",
    metavar="NAME",
    help="The core (default, and the only one that works: the one compiled for).",
)
@click.option("--board", "board_name", default="pynq-z2", show_default=True, metavar="NAME")
@click.option(
    "--clock",
    "clock_mhz",
    type=click.FloatRange(min=1, max=1000),
    metavar="MHZ",
    help="Clock asked for (default: the board's).",
)
@click.option(
    "--fit",
    "fit_to",
    type=click.Path(path_type=Path),
    metavar="REPORTS",
    help="An earlier synthesis's report, or their folder: the cycle model takes its loops' depths.",
)
@click.option(
    "-o",
    "--output",
    default="build/hls",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder to write.",
)
@click.option(
    "--images",
    "images_path",
    type=click.Path(path_type=Path),
    metavar="X.NPY",
    help="float32, N x C x H x W, for the test bench (default: random ones).",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=DEFAULT_IMAGES,
    show_default=True,
    help="Images of the test bench.",
)
@click.option(
    "--steps",
    "steps_text",
    default="csim,csynth,cosim,export",
    show_default=True,
    help="What build.tcl does.",
)
@force_option
@json_option
def hls(
    network: Path,
    config_name: str | None,
    board_name: str,
    clock_mhz: float | None,
    fit_to: Path | None,
    output: Path,
    images_path: Path | None,
    limit: int,
    steps_text: str,
    force: bool,
    json_to: str | None,
) -> int:
    """Write the HLS core for a compiled NETWORK as a Vitis HLS project, and run it.

    Sources, configuration header, C test bench with golden vectors, build.tcl, hls_config.cfg.
    With vitis_hls or vitis-run on PATH the project is synthesised and its reports are kept; without
    them its C simulation runs under g++ with ap_types, and nothing is synthesised. Exit code 1 if
    the simulation differs from the golden engine.
    """
    project = load("penstock.hls.project")
    board = load("penstock.boards").load_board(board_name)
    steps = parse_steps(steps_text, project.STEPS)
    check_folder(output, COMMAND, force=force)
    loaded = load_network(network)
    compiled = loaded.compiled
    if config_name is not None:
        compiled.package.require(hardware(config_name))
    config = compiled.package.config
    board.require(config)
    estimate = load("penstock.hls.resources").require_fit(config, board.name, board.resources)
    clock = clock_mhz or board.hls_mhz
    target = project.Target(board=board.name, part=board.part, clock_mhz=clock, steps=steps)
    fit = load("penstock.hls.fit").fit(fit_to) if fit_to else None
    timing = fit.timing if fit else None
    inputs = bench_inputs(loaded, images_path, limit)
    with step(f"golden vectors of {len(inputs)} images"):
        records = load("penstock.sim.golden").run(compiled.package, inputs)
    write_folder(
        output,
        lambda folder: project.emit(
            folder, compiled.package, target, inputs, records, estimate, timing
        ),
        COMMAND,
        force=force,
    )
    figures = describe(compiled.package, board, target.clock_mhz) | {
        "output": str(output),
        "estimate": dataclasses.asdict(estimate),
        "fit": dataclasses.asdict(fit) if fit else None,
        **run_project(output),
    }
    write_text(output / "report.json", json.dumps(figures, indent=2) + "\n")
    emit(figures, json_to, figures_table(figures))
    csim = figures["csim"]
    return MISMATCH if csim and (csim["mismatches"] or csim["error"]) else 0


def describe(package: Any, board: Any, clock_mhz: float) -> dict[str, Any]:
    """What the project is for: the head of its report."""
    return {
        "network": package.meta["network"],
        "config": package.config.name,
        "board": board.name,
        "part": board.part,
        "clock_mhz": clock_mhz,
    }


def bench_inputs(network: Any, images_path: Path | None, limit: int) -> npt.NDArray[np.uint8]:
    """The test bench's images as the core reads them: a user's, or random ones."""
    compiled = network.compiled
    if images_path is not None:
        images, warnings = read_images(network, images_path, limit)
        warn(warnings)
        inputs: npt.NDArray[np.uint8] = compiled.quantize_input(images)
        return inputs
    shape = (
        ceil_div(limit, compiled.images),
        compiled.images * compiled.package.meta["input"]["bytes"],
    )
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def run_project(folder: Path) -> dict[str, Any]:
    """Synthesise with Vitis HLS if it is installed, else simulate under g++.

    Returns the report's `tool`, `csim` (images, error, mismatches; None where Vitis ran it) and
    `synthesis` (None if none was run).
    """
    tools = load("penstock.hls.tools")
    tool = tools.find_vitis()
    if tool is None:
        note("vitis_hls and vitis-run are not on PATH: no synthesis is run, only C simulation")
        with step("C simulation under g++ with ap_types"):
            return {"tool": "g++", "csim": tools.run_gcc(folder), "synthesis": None}
    note(f"{tool} runs {folder / 'build.tcl'}")
    tools.run_vitis(tool, folder)
    return {"tool": tool, "csim": None, "synthesis": keep_reports(folder)}


def keep_reports(folder: Path) -> dict[str, Any] | None:
    """Copy the synthesis reports to `reports/`; their figures, None if there are none."""
    report = load("penstock.hls.report")
    found = report.find_reports(folder / "vitis")
    if found is None:
        note("no synthesis report: csynth is not among the steps of options.tcl")
        return None
    shutil.copytree(found, folder / "reports", dirs_exist_ok=True)
    return dataclasses.asdict(report.parse_reports(folder / "reports"))


def figures_table(figures: dict[str, Any]) -> Any:
    """What a person sees."""
    result = table(f"HLS core, {figures['config']} on {figures['board']}", "", "")
    result.add_row("project", figures["output"])
    result.add_row("run with", figures["tool"])
    for name in ("dsp", "bram18", "uram"):
        result.add_row(f"{name}, estimate", f"{figures['estimate'][name]:,}")
    if fit := figures["fit"]:
        for name, error in fit["errors"].items():
            result.add_row(f"{name}, believed - reported", f"{error:+d} cycles")
    if csim := figures["csim"]:
        result.add_row("images simulated, ap_types", str(csim["images"]))
        result.add_row("bytes that differ", str(csim["mismatches"]))
    synthesis = figures["synthesis"]
    if synthesis is None:
        result.add_row("synthesis", "not run")
        return result
    clocks = f"{synthesis['estimated_ns']} / {synthesis['clock_ns']} ns"
    result.add_row("clock, estimated / asked", clocks)
    for name, used in synthesis["used"].items():
        result.add_row(name, f"{used:,} of {synthesis['available'][name]:,}")
    for name, interval in synthesis["ii"].items():
        result.add_row(f"II of {name}", str(interval))
    return result

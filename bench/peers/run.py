"""`penstock bench peers`: NNgen measured here, others as published, side by side.

NNgen gets an environment of its own, its cycles are counted in the same kind of memory as ours:
64 bit, 40 cycles latency, one beat a cycle.  Our own networks are rows of bench/results/rows.json.
"""

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.peers.conv import own_conv
from penstock.program.base.files import write_text

OUT = ROOT / "build" / "peers"
ENVIRONMENT = OUT / "nngen-env"
SCRIPT = Path(__file__).with_name("nngen_net.py")
REQUIREMENTS = Path(__file__).with_name("nngen.txt")
STORE = RESULTS / "peers.json"
#: Our cores beside it.
CONFIGS_BESIDE = ("z7020", "z7020x2")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A network on NNgen with 9 x par_in x par_out multipliers."""

    network: str
    par_in: int
    par_out: int
    latency: int = 40


#: The numbers of multipliers next to our 128 and 256 (NNgen unrolls the nine taps of a 3x3).
WORKS = (
    Work(network="conv", par_in=4, par_out=4),
    Work(network="resnet20", par_in=4, par_out=4),
    Work(network="conv", par_in=8, par_out=4),
    Work(network="resnet20", par_in=8, par_out=4),
)


def python() -> Path:
    """The interpreter of NNgen's environment, which is made the first time."""
    interpreter = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / ".installed"
    if not stamp.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        install = [str(interpreter), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)]
        subprocess.run(install, check=True)
        stamp.touch()
    return interpreter


def measure(work: Work) -> dict[str, Any]:
    """One row, from the last run if nothing changed; minutes otherwise."""
    text = (
        json.dumps(dataclasses.asdict(work))
        + REQUIREMENTS.read_text(encoding="utf-8")
        + SCRIPT.read_text(encoding="utf-8")
    )
    folder = OUT / f"nngen-{work.network}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    result = folder / "row.json"
    if not result.is_file():
        print(f"NNgen: {work} (minutes)", file=sys.stderr)
        command = [str(python()), str(SCRIPT), work.network, "--folder", str(folder)]
        command += ["--par-in", str(work.par_in), "--par-out", str(work.par_out)]
        command += ["--latency", str(work.latency)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace", check=True
        )
        result.write_text(done.stdout.strip().splitlines()[-1] + "\n", encoding="utf-8")
    row = json.loads(result.read_text(encoding="utf-8"))
    assert isinstance(row, dict)
    return row


@click.command()
def main() -> int:
    """Measure NNgen on the same work, in an environment of its own, and store both sides.

    Exit code 1 if a byte of NNgen's differs.
    """
    nngen = [measure(work) for work in WORKS]
    figures = {"nngen": nngen, "conv": [own_conv(config) for config in CONFIGS_BESIDE]}
    write_text(STORE, json.dumps(figures, indent=1) + "\n")
    return int(any(row["mismatches"] for row in nngen))

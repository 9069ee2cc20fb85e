"""`penstock bench peers`: NNgen measured here, others as published, side by side.

NNgen gets an environment of its own, its cycles are counted in the same kind of memory as ours:
64 bit, 40 cycles latency, one beat a cycle.  Our own rows come from build/bench/bench.json.
"""

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from penstock.bench.cache import ROOT
from penstock.bench.peers.conv import own_conv
from penstock.bench.peers.published import PUBLISHED
from penstock.bench.tables.documents import put_into
from penstock.program.config import CONFIGS

OUT = ROOT / "build" / "peers"
ENVIRONMENT = OUT / "nngen-env"
SCRIPT = Path(__file__).with_name("nngen_net.py")
REQUIREMENTS = Path(__file__).with_name("nngen.txt")
BENCH = ROOT / "build" / "bench" / "bench.json"
DOCUMENT = ROOT / "docs" / "results.md"


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


def own_rows(bench: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our dense runs and those at half the channels, on every core, with their multipliers."""
    rows = []
    for row in bench:
        shown = row["network"] == "resnet20" and row["split"] and not row["blocks_skipped"]
        if shown and row["schedule"] == "sequential" and row["keep"] in (1.0, 0.5, 0.3):
            config = CONFIGS[row["config"]]
            rows.append({**row, "multipliers": config.p_oc * config.p_px})
    return rows


def measured_table(own: Sequence[dict[str, Any]], nngen: Sequence[dict[str, Any]]) -> str:
    """Cycles on the same work; all of them counted here."""
    lines = [
        "| work | system | multipliers | cycles | MAC utilisation |",
        "|---|---|---:|---:|---:|",
    ]
    names = {"conv": "3x3, 64 -> 64, 16 x 16", "resnet20": "ResNet-20, dense"}
    entries = [
        (names[row["network"]], f"NNgen 1.3.4, memory latency {row['latency']}", row)
        for row in nngen
    ]
    for row in own:
        dense = row["keep"] == 1.0
        work = names[row["network"]] if dense else f"ResNet-20, keep {row['keep']:g}"
        entries.append((work, f"Penstock {row['config']}", row))
    for work, system, row in sorted(entries, key=lambda entry: entry[:2]):
        lines.append(
            f"| {work} | {system} | {row['multipliers']} | {row['cycles']:,.0f} | "
            f"{row['utilisation']:.3f} |"
        )
    return "\n".join(lines)


def published_table() -> str:
    """What others say of themselves."""
    lines = ["| system | dynamic support | figure (*published*, not repeated) | source |"]
    lines += ["|---|---|---|---|"]
    lines += [f"| {p.system} | {p.dynamic} | {p.figure} | {p.source} |" for p in PUBLISHED]
    return "\n".join(lines)


@click.command()
@click.option("--update", is_flag=True, help="Also put the tables into docs/results.md.")
def main(update: bool) -> int:
    """Measure NNgen on the same work, in an environment of its own, and show others' figures."""
    nngen = [measure(work) for work in WORKS]
    own = own_rows(json.loads(BENCH.read_text(encoding="utf-8"))) if BENCH.is_file() else []
    if not own:
        print("no rows of our own: run `make bench` first", file=sys.stderr)
    own += [own_conv(config) for config in sorted({row["config"] for row in own})]
    OUT.mkdir(parents=True, exist_ok=True)
    published = [dataclasses.asdict(entry) for entry in PUBLISHED]
    figures = {"nngen": nngen, "penstock": own, "published": published}
    (OUT / "peers.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    tables = {"peers": measured_table(own, nngen), "published": published_table()}
    print("\n\n".join(tables.values()))
    if update:
        for name, table in tables.items():
            put_into(DOCUMENT, name, table)
    return int(any(row["mismatches"] for row in nngen))

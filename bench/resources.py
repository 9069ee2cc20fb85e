"""`penstock bench resources`: what a core takes of an FPGA, estimated by Yosys.

Estimates: Yosys maps to 7-series cells, nothing is placed or routed.
"""

import dataclasses
import json
import re

import rich_click as click

from penstock.bench.figures import RESULTS, ROOT
from penstock.bench.synthesis import yosys
from penstock.bench.synthesis.netlist import Resources, count
from penstock.program.base.files import write_text
from penstock.program.core.config import CONFIGS

OUT = ROOT / "build" / "resources"
STORE = RESULTS / "resources.json"

#: The cores meant for the board of the bars, without and with two products a DSP slice.
DEFAULT = ("z7020", "z7020x2")


def resources_of(config: str) -> Resources:
    """Resources of a core, kept with its netlist.

    Raises:
        PenstockError: Yosys is missing or refuses the sources.
    """
    kept = OUT / f"{config}-{yosys.key(config)}.json"
    if not kept.is_file():
        resources = count(yosys.synthesize(config))
        OUT.mkdir(parents=True, exist_ok=True)
        kept.write_text(
            json.dumps(dataclasses.asdict(resources), indent=2) + "\n", encoding="utf-8"
        )
    data = json.loads(kept.read_text(encoding="utf-8"))
    return Resources(**data | {"path": tuple(data["path"])})


def longest_paths(rows: dict[str, Resources]) -> str:
    """Where the longest path of each core lies, by source file and line."""
    lines = []
    for name, resources in rows.items():
        places = re.findall(r"(\w+\.sv:\d+)", " ".join(resources.path))
        lines.append(f"{name}: {', '.join(dict.fromkeys(places))}")
    return "; ".join(lines)


@click.command()
@click.option(
    "--config",
    "configs",
    multiple=True,
    type=click.Choice([*CONFIGS]),
    default=DEFAULT,
    show_default=True,
)
def main(configs: tuple[str, ...]) -> None:
    """Estimate with Yosys what cores take of an FPGA, and store it."""
    found = json.loads(STORE.read_text(encoding="utf-8"))
    rows = {name: resources_of(name) for name in configs}
    for name, resources in rows.items():
        found[name] = dataclasses.asdict(resources) | {"bram36": resources.bram36}
        print(f"{name}: {found[name]}")
    write_text(STORE, json.dumps(found, indent=1) + "\n")
    print(f"longest path: {longest_paths(rows)}")

"""`penstock bench layers`: where the cycles of networks without gates go, layer by layer.

A descriptor's cycles and counters are what it adds to those of the Program before it, all from the
simulated core (sim/rtl/profile.py).
"""

import dataclasses
import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import rich_click as click

from penstock.bench.figures import RESULTS
from penstock.bench.rows.networks import BACKBONES, network_inputs
from penstock.bench.rows.run import compiled
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.summary import estimate
from penstock.program.base.files import write_text
from penstock.program.core.config import CONFIGS
from penstock.program.core.descriptor import Op
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.profile import profile

STORE = RESULTS / "layers.json"
#: Networks that are measured unless others are named.
STORED = ("mobilenetv2", "vgg16")

#: Counters of cycles that are lost, and what the table calls them.
LOST = {
    "weight_wait": "weights",
    "drain": "drain",
    "copy": "layout, pool",
    "gate": "classifier",
    "io": "load, store",
    "overhead": "overhead",
}


@dataclasses.dataclass(kw_only=True)
class Kind:
    """Layers of one kind in one stage: sums of their counters."""

    name: str
    macs: float = 0.0
    counters: dict[str, float] = dataclasses.field(default_factory=dict)

    def add(self, macs: float, counters: dict[str, Any]) -> None:
        """One more descriptor."""
        self.macs += macs
        for name in ("cycles", "mac", *LOST):
            self.counters[name] = self.counters.get(name, 0.0) + float(counters[name])

    def figures(self, pes: int) -> dict[str, Any]:
        """What is stored; `lost`: the three largest shares of its cycles in which nothing is done.

        `pes`: multiply-accumulates a cycle.
        """
        cycles = self.counters["cycles"]
        idle = self.counters["mac"] - self.macs / pes
        lost = {"idle lanes": idle} | {LOST[name]: self.counters[name] for name in LOST}
        shares = {name: value / cycles for name, value in lost.items()} if cycles else {}
        worst = sorted((n for n in shares if shares[n] >= 0.01), key=lambda n: -shares[n])
        kept = {name: shares[name] for name in worst[:3]}
        return {"name": self.name, "macs": self.macs, "cycles": cycles, "lost": kept}


def kind_of(op: Op, name: str) -> str:
    """Stage and kind of a descriptor's layer: "stage1 expand" of "stage1.block0.expand[0:72]"."""
    stage = name.split(".")[0]
    if op == Op.COPY and ".polyphase" not in name:
        return f"{stage} interleave"
    if op == Op.COPY:
        return f"{stage} to polyphase"
    if op == Op.POOL:
        return f"{stage} pool"
    last = re.sub(r"\[.*\]$", "", name).split(".")[-1]
    return stage if last == stage else f"{stage} {re.sub(r'[0-9]+$', '', last)}"


def kinds(network: CompiledNetwork, profiled: Iterable[dict[str, Any]]) -> list[Kind]:
    """Every kind in the order of its first layer, then the whole network."""
    package = network.package
    layers = estimate(package, np.zeros((1, 0), np.uint8), 100.0)["layers"]
    code = decode(package)
    found: dict[str, Kind] = {}
    total = Kind(name="all")
    for entry in profiled:
        index = entry["descriptor"]
        name = kind_of(Op(code[index].op), entry["name"])
        macs = layers[index]["macs"]
        found.setdefault(name, Kind(name=name)).add(macs, entry)
        total.add(macs, entry)
    return [*found.values(), total]


def measure(name: str, config: str) -> dict[str, Any]:
    """The stored figures of a network on a core."""
    network = compiled(name, config, "sequential", True)
    inputs = network.quantize_input(network_inputs(name, 1))
    core = RtlCore(config, assertions=False)
    rows = kinds(network, profile(core, network.package, inputs))
    core.close()
    chosen = network.package.config
    return {"config": config, "kinds": [row.figures(chosen.p_oc * chosen.p_px) for row in rows]}


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice([*BACKBONES]))
@click.option("--config", type=click.Choice([*CONFIGS]), default="z7020", show_default=True)
def main(networks: tuple[str, ...], config: str) -> None:
    """Measure where the cycles of networks without gates go, layer by layer, and store it."""
    found = json.loads(STORE.read_text(encoding="utf-8"))
    for name in networks or STORED:
        found[name] = measure(name, config)
        write_text(STORE, json.dumps(found, indent=1) + "\n")

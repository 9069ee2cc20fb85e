"""One random case: a network, a configuration and a memory, through every engine.

graph interpreter == golden == csim == rtl on every byte of every record, and golden's counters are
those of csim and rtl.  A case is its seed: configuration, network, images, latency and stalls all
follow from it.
"""

import dataclasses
import functools
import random as stdlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.compiler.pipeline import compile_graph
from penstock.engines import COUNTED
from penstock.program.base.errors import PenstockError
from penstock.program.core.config import HwConfig
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import Op
from penstock.program.core.hardware import hardware
from penstock.program.network.exits import exits_taken
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.memory import Memory
from tests.compiler.back.graphs import random_inputs
from tests.compiler.back.stacked import stacked_package
from tests.fuzz.networks import (
    Excite,
    Join,
    Larger,
    Layer,
    Pair,
    Recipe,
    build,
    coded,
    enlarged,
    excited,
    joined,
    recipe,
    several,
)
from tests.fuzz.skips import skipped_between, skipping
from tests.sim.tangle import inputs as tangled_inputs
from tests.sim.tangle import tangled

Bytes = npt.NDArray[np.uint8]

#: Configurations and how often each is drawn; z7020 simulates ten times slower.
CONFIGS = {"tiny": 7, "z7020": 1}
#: Families of cases: what seeds mean in each; those of one family never change another's.
FAMILIES = {
    "": recipe,
    "concats": joined,
    "squeeze": excited,
    "images": several,
    "skips": skipping,
    "codes": coded,
    "larger": enlarged,
}
#: Networks drawn for a case until the configuration has room for one.
ATTEMPTS = 50


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What runs: a compiled network, its images and the memory of the simulated core."""

    recipe: Recipe
    network: CompiledNetwork
    inputs: Bytes  # (N, input bytes)
    memory: dict[str, Any]  # latency, stall, seed of its Memory
    refused: int = 0  # networks drawn before it that did not fit

    @property
    def config(self) -> HwConfig:
        return self.network.package.config


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`mismatches`: one line each.  `features`: what the network had, for the summary."""

    mismatches: tuple[str, ...]
    seconds: float
    refused: int
    cycles: int
    features: tuple[str, ...]


def draw(seed: int, configs: Sequence[str] = tuple(CONFIGS), family: str = "") -> Case:
    """The case of a seed of a family among these configurations.

    Raises:
        RuntimeError: none of many networks fits; the generator draws too large ones.
    """
    random = stdlib.Random(f"penstock {family} {seed}" if family else f"penstock {seed}")
    weights = [CONFIGS.get(name, 1) for name in configs]
    config = random.choices(list(configs), weights)[0]
    for attempt in range(ATTEMPTS):
        chosen = FAMILIES[family](random)
        try:
            return make(chosen, config, random.getrandbits(32), refused=attempt)
        except CompileError:
            continue
    raise RuntimeError(f"seed {seed}: none of {ATTEMPTS} networks fits '{config}'")


def make(chosen: Recipe, config: str = "tiny", seed: int = 0, refused: int = 0) -> Case:
    """A recipe with images and a memory of `seed`.

    Raises:
        CompileError: `config` has no room for it.
    """
    rng = np.random.default_rng(seed)
    graph = build(chosen)
    reshape = bool(rng.random() < 0.8)
    core = hardware(config)
    if chosen.images > 1:
        package = stacked_package(graph, core, chosen.images, rng=rng, reshape=reshape)
    else:
        package = compile_graph(graph, core, chosen.schedule, reshape=reshape)
    inputs, _ = random_inputs(package, int(rng.integers(1, 4)), rng)
    stall = float(rng.choice([0.0, 0.05, 0.3, 0.7]))
    latency = int(rng.choice([1, 7, 40, 120]))
    return Case(
        recipe=chosen,
        network=CompiledNetwork(package=package, graph=graph),
        inputs=inputs,
        memory={"latency": latency, "stall": stall, "seed": seed},
        refused=refused,
    )


def run(case: Case) -> Outcome:
    """Every engine on one case.  What an engine raises is a mismatch too."""
    began = time.perf_counter()
    package, inputs = case.network.package, case.inputs
    reference = golden.run(package, inputs)
    found = [
        *_compare(
            "graph", reference, case.network.run_graph(inputs), ("exit",) * bool(case.recipe.exits)
        )
    ]
    core = _rtl(case.config)
    engines = {
        "csim": lambda: _csim(case.config).run(package, inputs),
        "rtl": lambda: core.run(package, inputs, memory=Memory(**case.memory)),
    }
    cycles = 0
    for name, engine in engines.items():
        try:
            records = engine()
        except Exception as error:  # a crash is a finding like any other
            found.append(f"{name}: {type(error).__name__}: {error}")
            continue
        found += _compare(name, reference, records, COUNTED["golden"])
        if name == "rtl":
            cycles = int(_counter(records, "cycles").sum())
    core.close()  # a case must not depend on what an earlier one left in the core
    return Outcome(
        mismatches=tuple(found),
        seconds=time.perf_counter() - began,
        refused=case.refused,
        cycles=cycles,
        features=tuple(features(case)),
    )


def run_seed(seed: int, configs: Sequence[str], family: str = "") -> Outcome:
    """`run` of `draw`; a network that is neither compiled nor refused is a mismatch too."""
    began = time.perf_counter()
    try:
        drawn = draw(seed, configs, family)
    except PenstockError as error:
        seconds = time.perf_counter() - began
        return Outcome(mismatches=(str(error),), seconds=seconds, refused=0, cycles=0, features=())
    return run(drawn)


def run_tangle(seed: int, configs: Sequence[str], family: str = "tangles") -> Outcome:
    """golden == csim == rtl on the program of a seed that no compiler writes (`tangled`)."""
    began, random = time.perf_counter(), stdlib.Random(f"penstock {family} {seed}")
    config = random.choices(list(configs), [CONFIGS.get(name, 1) for name in configs])[0]
    rng = np.random.default_rng(random.getrandbits(64))
    chosen = hardware(config)
    package = tangled(chosen, rng)
    images = tangled_inputs(int(rng.integers(1, 4)), rng)
    memory = {"latency": int(rng.choice([1, 7, 40])), "stall": float(rng.choice([0.0, 0.3]))}
    expected, core, cycles = golden.run(package, images), _rtl(chosen), 0
    found: list[str] = []
    engines = {
        "csim": _csim(chosen).run,
        "rtl": functools.partial(core.run, memory=Memory(**memory)),
    }
    for name, engine in engines.items():
        try:
            records = engine(package, images)
        except Exception as error:  # a crash is a finding like any other
            found.append(f"{name}: {type(error).__name__}: {error}")
            continue
        found += _compare(name, expected, records, COUNTED["golden"])
        cycles = int(_counter(records, "cycles").sum())
    core.close()
    return Outcome(
        mismatches=tuple(found),
        seconds=time.perf_counter() - began,
        refused=0,
        cycles=cycles,
        features=(config,),
    )


def _compare(name: str, expected: Bytes, got: Bytes, counters: Sequence[str]) -> list[str]:
    """Lines about results and counters that differ from golden's."""
    found = []
    differ = np.argwhere(expected[:, COUNTER_BYTES:] != got[:, COUNTER_BYTES:])
    if len(differ):
        image, byte = (int(index) for index in differ[0])
        found.append(f"{name}: {len(differ)} bytes differ, first image {image} byte {byte}")
    for counter in counters:
        if (_counter(expected, counter) != _counter(got, counter)).any():
            values = [_counter(records, counter).tolist() for records in (expected, got)]
            found.append(f"{name}: counter {counter} is {values[1]}, golden has {values[0]}")
    return found


def _counter(records: Bytes, name: str) -> npt.NDArray[np.uint32]:
    at = COUNTER_NAMES.index(name)
    words = np.ascontiguousarray(records[:, :COUNTER_BYTES]).view("<u4")
    return words[:, at].astype(np.uint32)


@functools.lru_cache
def _csim(config: HwConfig) -> CsimCore:
    return CsimCore(config)


@functools.lru_cache
def _rtl(config: HwConfig) -> RtlCore:
    return RtlCore(config)


def features(case: Case) -> list[str]:
    """What the case exercises, for the summary's table of coverage."""
    chosen, package = case.recipe, case.network.package
    found = Counter([package.config.name, chosen.schedule, "dense head" if chosen.classes else ""])
    found["extreme numbers"] += chosen.extreme
    found["int16 logits"] += any(chosen.wide)
    if chosen.exits:
        taken = exits_taken(golden.run(package, case.inputs), package.meta)
        at_wide = np.append(chosen.wide[:-1], False)[taken]
        found["exit taken with int16 logits"] += bool(at_wide.any())
        found["exit taken"] += bool((taken < len(chosen.exits)).any())
        found["exit not taken"] += bool((taken > 0).any())
    found[f"{chosen.images} images a run"] += chosen.images > 1
    cleared = [layer for layer in package.meta["layers"] if layer["name"].endswith(".clear")]
    found["rows between images cleared"] += chosen.images > 1 and bool(cleared)
    rows = [block for block in package.meta["memory"] if "row" in block]
    found["Concat by address"] += bool(rows)
    copies = [layer["name"] for layer in package.meta["layers"] if layer.get("kind") == "copy"]
    found["part copied"] += any(".y.copy" in name for name in copies)
    found["residual copied for a Concat"] += bool(rows) and any(
        name.endswith(".copy") for name in copies
    )
    program = decode(package)
    turns = [d for d in program if d.op == Op.CONV and d.src_stride == 2 * d.phase_stride > 0]
    found["sum in one descriptor"] += bool(turns)
    found["sum by channels"] += any(d.op == Op.CONV and d.cin == 2 and d.cout == 1 for d in program)
    for layer in chosen.layers:
        if isinstance(layer, Join):
            found[f"Concat of {len(layer.inputs)}"] += 1
            continue
        if isinstance(layer, Larger):
            found["nearest neighbours" if not layer.phase else "planes in turn"] += 1
            continue
        if isinstance(layer, Excite):
            found["squeeze-and-excite"] += 1
            continue
        if isinstance(layer, Pair):
            found["sum at three scales"] += 1
            continue
        if not isinstance(layer, Layer):
            found[("average" if layer.average else "maximum") + f" pool stride {layer.stride}"] += 1
            continue
        found[f"kernel {layer.kernel} stride {layer.stride}"] += 1
        found["residual"] += layer.residual is not None
        found["zero point off the map"] += bool(layer.pad) and layer.kernel > 1
        groups = "depthwise" if layer.groups == layer.channels else "groups"
        found[f"{groups} stride {layer.stride}"] += layer.groups > 1
        if layer.gate is not None:
            gate = chosen.gates[layer.gate]
            kind = "block" if gate.outputs == 1 else "channel"
            found[f"{kind} gate{' binary' if gate.binary else ''}"] += 1
    records = case.network.run_graph(case.inputs)
    for gate in package.meta["gates"]:
        scores = records[:, gate["offset"] : gate["offset"] + gate["count"]]
        shares = {(0.0,): "all closed", (1.0,): "all open"}
        kept = (scores > 0).mean(axis=1)
        found[shares.get(tuple(np.unique(kept).tolist()), "mixed scores")] += 1
    found += skipped_between(package, golden.run(package, case.inputs))
    return [name for name, count in found.items() if name and count]

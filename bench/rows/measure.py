"""One row: a network with given masks on the simulated core, on golden and in the cost model."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.bench.figures import realisation_ratio
from penstock.bench.rows.forced import forced_inputs, forced_package, forced_records
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.estimate.cost import Timing, predict_memory
from penstock.compiler.estimate.masks import Scores, as_gates
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.sim.golden import run as run_golden
from penstock.sim.rtl.engine import RtlCore

Bytes = npt.NDArray[np.uint8]

#: Counters that golden, which knows no time, has as well: compared as the results are.
GOLDEN_COUNTERS = (
    "weight_bytes",
    "executed",
    "skipped",
    "channels_executed",
    "channels_skipped",
    "exit",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Means an image.  `model_error`: the largest |predicted / cycles - 1| of an image."""

    images: int
    cycles: float
    predicted: float
    model_error: float
    macs_dense: int
    macs_executed: float
    dense_weights: int
    survivor_weights: float
    mismatches: int
    counters: dict[str, float]

    @property
    def weight_bytes(self) -> float:
        """Weight bytes fetched."""
        return self.counters["weight_bytes"]


def measure_forced(
    compiled: CompiledNetwork,
    inputs: Bytes,
    memory: Scores,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """`inputs` uint8 [N, input bytes], image i with the gate scores memory[i]."""
    package = forced_package(compiled.package, memory)
    doubled = forced_inputs(inputs)
    golden = forced_records(run_golden(package, doubled))
    core = RtlCore(package.config, assertions=False)
    rtl = forced_records(core.run(package, doubled, progress=progress))
    core.close()
    stored = rtl[:, COUNTER_BYTES : COUNTER_BYTES + memory.shape[1]]
    assert np.array_equal(stored, memory), "the gates did not give the scores asked for"
    return summarize(compiled, golden, rtl, memory, streaming=True)


def measure_own(
    compiled: CompiledNetwork, inputs: Bytes, progress: Callable[[int, int], None] | None = None
) -> Measured:
    """As the network's own gates decide."""
    golden = run_golden(compiled.package, inputs)
    core = RtlCore(compiled.package.config, assertions=False)
    rtl = core.run(compiled.package, inputs, progress=progress)
    core.close()
    gates = sum(gate["count"] for gate in compiled.package.meta["gates"])
    memory = golden[:, COUNTER_BYTES : COUNTER_BYTES + gates]
    return summarize(compiled, golden, rtl, memory, streaming=False)


def summarize(
    compiled: CompiledNetwork, golden: Bytes, rtl: Bytes, memory: Scores, *, streaming: bool
) -> Measured:
    """`streaming`: the first image follows another one, so it pays nothing that runs once."""
    shown = np.concatenate([memory[:1], memory]) if streaming else memory
    predicted = predict_memory(compiled.package, shown, Timing()).cycles[-len(memory) :]
    counters = compiled.decode_output(rtl).counters
    reference = compiled.decode_output(golden).counters
    cycles = counters["cycles"].astype(np.float64)
    macs = compiled.macs(as_gates(compiled.package, memory))
    differ = (golden[:, COUNTER_BYTES:] != rtl[:, COUNTER_BYTES:]).sum()
    differ += sum((counters[name] != reference[name]).sum() for name in GOLDEN_COUNTERS)
    return Measured(
        images=len(memory),
        cycles=float(cycles.mean()),
        predicted=float(predicted.mean()),
        model_error=float(np.abs(predicted / cycles - 1).max()),
        macs_dense=macs.dense,
        macs_executed=macs.executed,
        dense_weights=macs.dense_weights,
        survivor_weights=macs.survivor_weights,
        mismatches=int(differ),
        counters={name: float(counters[name].mean()) for name in COUNTER_NAMES},
    )


def row_figures(measured: Measured, dense: Measured, pes: int) -> dict[str, Any]:
    """The derived figures of a row (design section 10), against the best dense run.

    `gate_exposure` is relative to the dense run's cycles; `lost_to_remainder` the cycles in which
    the array accumulates, less those that the executed MACs need, relative to this row's cycles.
    """
    fetched = measured.weight_bytes / dense.weight_bytes
    needed = measured.macs_executed / pes
    return {
        "utilisation": needed / measured.cycles,
        "realisation_ratio": realisation_ratio(
            dense_cycles=dense.cycles,
            cycles=measured.cycles,
            dense_macs=measured.macs_dense,
            macs=measured.macs_executed,
        ),
        "fetch_ratio": fetched / (measured.survivor_weights / measured.dense_weights),
        "gate_exposure": measured.counters["gate"] / dense.cycles,
        "lost_to_remainder": (measured.counters["mac"] - needed) / measured.cycles,
    }

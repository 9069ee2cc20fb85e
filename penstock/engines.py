"""Running a compiled network on the engines and comparing what they return."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from penstock.program.base.optional import require
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES

Bytes = npt.NDArray[np.uint8]
Images = npt.NDArray[Any]

#: Called with (images begun, images).
Progress = Callable[[int, int], None]
#: Around something long: is told what begins, and gives a way to tell how far it is.
Step = Callable[[str], AbstractContextManager[Progress]]


@contextmanager
def silently(text: str) -> Iterator[Progress]:
    """A `Step` that shows nothing."""
    yield lambda done, total: None


#: Every engine, in the order in which they are explained; "onnx" has no records.
ENGINES = ("golden", "csim", "rtl", "graph", "onnx")

_TIMELESS = (
    "weight_bytes",
    "write_bytes",
    "executed",
    "skipped",
    "channels_executed",
    "channels_skipped",
    "exit",
)

#: Counters an engine measures; golden knows no time, csim only an estimate, the graph no program.
COUNTED: dict[str, tuple[str, ...]] = {
    "golden": _TIMELESS,
    "csim": _TIMELESS,
    "rtl": COUNTER_NAMES,
    "graph": (),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The memory the simulated core sees: latency in cycles, probability of a stalled cycle.

    `assertions` also checks the core's own assertions, as the tests do; whole data sets run a
    tenth faster without.
    """

    latency: int = 40
    stall: float = 0.0
    seed: int = 0
    vcd: Path | None = None
    assertions: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One engine's results: per image logits and gate scores, and counters where it has them.

    `results` is what must be equal between engines, runs x bytes: the output record without its
    counters.  A run is an image, or several; counters are a run's.
    """

    engine: str
    results: Bytes
    per_run: int
    logits: npt.NDArray[np.float32]  # N x K
    scores: dict[str, Bytes]  # gate -> N x n
    exits: npt.NDArray[np.int64]  # N: the early exit taken, in order; their number: none
    outputs: npt.NDArray[Any]  # N x ...: the file's output, what the host makes of the logits
    by_name: dict[str, npt.NDArray[Any]]  # each of the file's outputs -> N x ...
    labels: npt.NDArray[np.int64]  # N: predicted class
    counters: dict[str, npt.NDArray[np.uint32]]  # name -> runs

    def mean(self, counter: str) -> float:
        """Mean of a counter an image."""
        return float(self.counters[counter].mean()) / self.per_run


def build_engines(
    engines: Iterable[str], compiled: Any, memory: Memory, step: Step = silently
) -> None:
    """Build the simulated cores that are wanted and not yet built (half a minute for rtl)."""
    if "csim" in engines:
        csim = require("penstock.sim.csim.build")
        with step(f"build the HLS core's C simulation, {compiled.package.config.name}"):
            csim.build_csim(compiled.package.config)
    if "rtl" in engines:
        build = require("penstock.sim.rtl.build")
        config = compiled.package.config
        with step(f"build the core, {config.name}"):
            trace = memory.vcd is not None
            build.build_core(config, trace=trace)


def run_engine(
    engine: str,
    compiled: Any,
    images: Images,
    memory: Memory,
    progress: Progress | None = None,
) -> Run:
    """Run `images` through one engine; what it raises passes through.

    `progress` is called with (images begun, images) where the engine can tell.
    """
    inputs = compiled.quantize_input(images)
    if engine == "graph":
        records = compiled.run_graph(inputs)
    elif engine == "golden":
        records = require("penstock.sim.golden").run(compiled.package, inputs)
    elif engine == "csim":
        hls_core = require("penstock.sim.csim.engine").CsimCore(compiled.package.config)
        records = hls_core.run(compiled.package, inputs)
    else:
        rtl = require("penstock.sim.rtl.engine")
        core = rtl.RtlCore(compiled.package.config, assertions=memory.assertions)
        records = core.run(
            compiled.package,
            inputs,
            memory=_simulated(memory),
            vcd=memory.vcd,
            progress=progress,
        )
        core.close()
    decoded = compiled.decode_output(records, len(images))
    return Run(
        engine=engine,
        results=records[:, COUNTER_BYTES:],
        per_run=compiled.images,
        logits=decoded.logits,
        scores=decoded.scores,
        exits=decoded.exits,
        outputs=decoded.results,
        by_name=decoded.outputs,
        labels=decoded.label,
        counters={name: decoded.counters[name] for name in COUNTED[engine]},
    )


def run_onnx(compiled: Any, images: Images) -> npt.NDArray[np.float32]:
    """The quantised file's last output in onnxruntime: float32 [N, classes], or as its tail
    makes it."""
    onnx, loader = require("onnx"), require("penstock.compiler.importer.onnx_file.load")
    model = require("penstock.compiler.check").prepare(
        onnx.load_model_from_string(compiled.onnx_file())
    )
    output = loader.to_net(model).output
    reference = require("penstock.compiler.check.reference").Reference(model, [output])
    found: Any = reference.run(images)[output]
    if compiled.tails:
        tail = compiled.tails[-1].result
        return np.asarray(found).reshape(len(images), *tail.shape)
    return np.asarray(found, np.float32).reshape(len(images), -1)


def profile_descriptors(
    compiled: Any, images: Images, memory: Memory, progress: Progress
) -> list[dict[str, Any]]:
    """Mean counters an image of every descriptor, counted by the simulated core."""
    rtl = require("penstock.sim.rtl.engine")
    core = rtl.RtlCore(compiled.package.config, assertions=memory.assertions)
    profile = require("penstock.sim.rtl.profile").profile
    inputs = compiled.quantize_input(images)
    seen = _simulated(memory)
    rows: list[dict[str, Any]] = profile(core, compiled.package, inputs, progress, seen)
    core.close()
    return rows


def _simulated(memory: Memory) -> Any:
    """What the simulated core sees of it."""
    simulated = require("penstock.sim.rtl.memory").Memory
    return simulated(latency=memory.latency, stall=memory.stall, seed=memory.seed)


def mismatches(reference: Run, other: Run) -> int:
    """Bytes of the results that differ, and images that took another exit."""
    exits = (reference.exits != other.exits).sum()
    return int((reference.results != other.results).sum() + exits)


def first_mismatch(reference: Run, other: Run) -> str:
    """Where two runs differ first, for a person; "" if they are equal."""
    differ = np.argwhere(reference.results != other.results)
    if not len(differ):
        return _first_exit(reference, other)
    image, byte = (int(index) for index in differ[0])
    values = (int(run.results[image, byte]) for run in (reference, other))
    what = _name_byte(reference, image, other)
    unit = "image" if reference.per_run == 1 else f"run of {reference.per_run} images"
    return (
        f"{unit} {image}, result byte {byte}{what}: "
        f"{reference.engine} {next(values)}, {other.engine} {next(values)}"
    )


def _first_exit(reference: Run, other: Run) -> str:
    """The first image that took another exit; "" if none did."""
    differ = np.flatnonzero(reference.exits != other.exits)
    if not len(differ):
        return ""
    exits = (int(run.exits[differ[0]]) for run in (reference, other))
    return (
        f"image {differ[0]}: {reference.engine} took exit {next(exits)}, "
        f"{other.engine} exit {next(exits)}"
    )


def _name_byte(reference: Run, image: int, other: Run) -> str:
    """The gate, or the logits, in which record `image` differs first."""
    for gate, scores in reference.scores.items():
        if (scores[image] != other.scores[gate][image]).any():
            return f" (scores of gate {gate})"
    return " (logits)"


def save_arrays(file: IO[bytes], run: Run) -> None:
    """The runs' arrays as .npz: logits, output, label, exit, gate:<name>, counter:<name>."""
    arrays: dict[str, Any] = {"logits": run.logits, "label": run.labels, "output": run.outputs}
    arrays |= {f"gate:{name}": scores for name, scores in run.scores.items()}
    arrays |= {"exit": run.exits}
    arrays |= {f"counter:{name}": values for name, values in run.counters.items()}
    np.savez_compressed(file, **arrays)

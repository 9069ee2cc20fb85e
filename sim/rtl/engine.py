"""Engine `rtl`: runs Programs on the Verilated core, memory inside, without copying it."""

import ctypes
import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.config import BEAT_BYTES, HwConfig, get_config
from penstock.program.descriptor import DESCRIPTOR_BYTES
from penstock.program.package import Package
from penstock.program.registers import ErrorCode, Position
from penstock.sim import cache
from penstock.sim.rtl.build import SimulationError, build_core

Bytes = npt.NDArray[np.uint8]

#: AXI channels in the order of the harness; keys of a `stall` mapping.
CHANNELS = ("ar", "r", "aw", "w", "b")

#: Where the buffers lie: every one on its own page, all 64 address bits in use.
BASES = {
    "program": 0x0000_1000_0000_0000,
    "weights": 0x0020_0000_0001_0000,
    "input": 0x4000_0000_0100_0000,
    "output": 0x8000_0001_0000_0000,
}

#: Cycles without which a run is taken for hung, per image.
MAX_CYCLES_PER_IMAGE = 50_000_000

#: Seed of a core whose memories start at zero, as golden's do.
ZERO_SEED = (1 << 64) - 1

_STEP_CYCLES = 1_000_000  # between two looks at Ctrl-C and the progress callback
_STATUS = ("running", "done", "timeout", "stopped")


_LONG_OPTIONS = ("max_cycles", "fault_read", "fault_write", "hang_cycle", "seed")
_RESPONSES = {"SLVERR": 2, "DECERR": 3}


class _Region(ctypes.Structure):
    _fields_ = [("base", ctypes.c_uint64), ("size", ctypes.c_uint64), ("data", ctypes.c_void_p)]


class _Run(ctypes.Structure):
    _fields_ = [
        *((name, _Region) for name in BASES),
        *((name, ctypes.c_uint64) for name in _LONG_OPTIONS),
        ("stall", ctypes.c_uint32 * len(CHANNELS)),
        *(
            (name, ctypes.c_uint32)
            for name in (
                "latency",
                "fault_response",
                "fault_repeats",
                "hang_mask",
                "n_descriptors",
                "n_images",
                "input_stride",
                "output_stride",
                "weight_bytes",
                "config_hash",
                "reset",
                "log_reads",
            )
        ),
        ("vcd", ctypes.c_char_p),
    ]


class _Result(ctypes.Structure):
    _fields_ = [
        ("status", ctypes.c_int32),
        *((name, ctypes.c_uint32) for name in ("error", "position", "image", "images")),
        *(
            (name, ctypes.c_uint64)
            for name in (
                "cycles",
                "bad_accesses",
                "first_bad",
                "read_beats",
                "write_beats",
                "read_bursts",
                "write_bursts",
                "protocol_errors",
            )
        ),
        ("message", ctypes.c_char * 256),
    ]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunResult:
    """What one run did.

    Attributes:
        output: uint8 [N, output_stride], zero where the core wrote nothing.
        error: code in the core's error register (ErrorCode).
        position: what its registers image and position say.
        cycles: from the write of ap_start to the interrupt.
        timed_out: the cycle limit came before the interrupt.
        bad_accesses: beats outside the buffers (they were answered DECERR).
        first_bad: address of the first of them.
        read_beats, write_beats: beats of 8 bytes moved.
        read_bursts, write_bursts: bursts asked for.
        violations: broken AXI rules and failed assertions.
        message: the first of them, "" if there is none.
        read_log: uint64 [bursts, 2], address and beats of every read burst, if asked for.
    """

    output: Bytes
    error: int
    position: Position
    cycles: int
    timed_out: bool
    bad_accesses: int
    first_bad: int
    read_beats: int
    write_beats: int
    read_bursts: int
    write_bursts: int
    violations: int
    message: str
    read_log: npt.NDArray[np.uint64] | None


class RtlCore:
    """One Verilated core.  Its on-chip memories start random and live on from run to run."""

    def __init__(
        self, config: HwConfig | str, *, assertions: bool = True, library: Path | None = None
    ) -> None:
        """Build (first time only) and load the core.

        Args:
            config: the configuration or its name.
            assertions: check the assertions in the SystemVerilog; a tenth slower.
            library: a library of build.build_library to load instead (tests).

        Raises:
            SimulationError: the core cannot be built.
        """
        self.config = get_config(config) if isinstance(config, str) else config
        self._assertions = assertions
        self._library = library
        self._handles: dict[bool, tuple[ctypes.CDLL, int]] = {}

    def run(
        self,
        package: Package,
        inputs: Bytes,
        *,
        latency: int = 40,
        stall: float | Mapping[str, float] = 0.0,
        seed: int = 0,
        vcd: Path | None = None,
        max_cycles: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Bytes:
        """Run a package: its output records, uint8 [N, record_bytes].  Arguments as `execute`.

        Raises:
            SimulationError: the core stopped with an error, hung, or broke a rule.
        """
        result = self.execute(
            package.descriptors,
            package.weights,
            inputs,
            package.meta["record_bytes"],
            package.n_descriptors,
            package.config_hash,
            latency=latency,
            stall=stall,
            seed=seed,
            vcd=vcd,
            max_cycles=max_cycles,
            progress=progress,
        )
        _raise_if_bad(result)
        return result.output

    def execute(
        self,
        program: bytes,
        weights: bytes,
        inputs: Bytes,
        output_stride: int,
        n_descriptors: int | None = None,
        config_hash: int | None = None,
        *,
        latency: int = 40,
        stall: float | Mapping[str, float] = 0.0,
        seed: int = 0,
        vcd: Path | None = None,
        max_cycles: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        log_reads: bool = False,
        fault_read: int = 0,
        fault_write: int = 0,
        fault_response: str = "SLVERR",
        fault_repeats: bool = False,
        hang: tuple[str, ...] = (),
        hang_cycle: int = 0,
        reset: bool = True,
        base_offset: int = 0,
    ) -> RunResult:
        """Run a program over every image; an error of the core is a result, not an exception.

        Args:
            program: descriptors, 64 bytes each.
            weights: the weight blob.
            inputs: uint8 [N, input_stride]; input_stride a multiple of 8.
            output_stride: bytes of an output record; a multiple of 8.
            n_descriptors: default: all of `program`.
            config_hash: default: this core's.
            latency: cycles from a read's AR handshake to its first beat, and from a write's
                last beat to its response.
            stall: probability that a channel stalls in a cycle; or one for each of CHANNELS.
            seed: of the stalls, and of the uninitialised memories when the core is created
                (ZERO_SEED: they start at zero).
            vcd: write waves here (another, slower build of the core).
            max_cycles: after so many cycles the run counts as hung.
            progress: called with (images begun, images) about every million cycles.
            log_reads: keep address and beats of every read burst.
            fault_read: answer `fault_response` on the n-th read beat (from 1).
            fault_write: answer `fault_response` on the n-th write burst (from 1).
            fault_response: "SLVERR" or "DECERR".
            fault_repeats: on every n-th instead of the n-th alone.
            hang: channels of CHANNELS that stand still from `hang_cycle` on, counted from the
                start; the core's watchdog is to notice.
            hang_cycle: see `hang`.
            reset: reset the core first; without it the core carries on from the last run (a new
                one is reset all the same).
            base_offset: bytes (a multiple of 8) by which every buffer is moved.

        Raises:
            ValueError: a size, stride or probability is not allowed.
            SimulationError: the core cannot be built.
        """
        inputs = np.ascontiguousarray(inputs, np.uint8)
        if inputs.ndim != 2 or inputs.shape[1] % BEAT_BYTES or output_stride % BEAT_BYTES:
            raise ValueError(
                f"inputs {inputs.shape}, output_stride {output_stride}: strides are whole beats"
            )
        images = len(inputs)
        output = np.zeros((images, output_stride), np.uint8)
        buffers = {
            "program": _whole_beats(program),
            "weights": _whole_beats(weights),
            "input": inputs,
            "output": output,
        }
        run = _Run(
            max_cycles=max_cycles or MAX_CYCLES_PER_IMAGE * max(images, 1),
            fault_read=fault_read,
            fault_write=fault_write,
            fault_response=_RESPONSES[fault_response],
            fault_repeats=int(fault_repeats),
            hang_mask=sum(1 << CHANNELS.index(channel) for channel in hang),
            hang_cycle=hang_cycle,
            seed=seed,
            stall=_stall_words(stall),
            latency=max(latency, 1),
            n_descriptors=(
                len(program) // DESCRIPTOR_BYTES if n_descriptors is None else n_descriptors
            ),
            n_images=images,
            input_stride=inputs.shape[1],
            output_stride=output_stride,
            weight_bytes=len(weights),
            config_hash=self.config.hash if config_hash is None else config_hash,
            reset=int(reset),
            log_reads=int(log_reads),
            vcd=os.fsencode(vcd) if vcd else None,
        )
        for name, buffer in buffers.items():
            region = _Region(BASES[name] + base_offset, buffer.nbytes, buffer.ctypes.data)
            setattr(run, name, region)

        library, handle = self._load(trace=vcd is not None, seed=seed)
        library.ps_start(handle, ctypes.byref(run))
        result = _Result()
        while result.status == 0:
            library.ps_step(handle, _STEP_CYCLES, ctypes.byref(result))
            if progress is not None:
                progress(result.images, images)
        status = _STATUS[result.status]
        return RunResult(
            output=output,
            error=result.error,
            position=Position(result.image, result.position),
            cycles=result.cycles,
            timed_out=status == "timeout",
            bad_accesses=result.bad_accesses,
            first_bad=result.first_bad,
            read_beats=result.read_beats,
            write_beats=result.write_beats,
            read_bursts=result.read_bursts,
            write_bursts=result.write_bursts,
            violations=result.protocol_errors + (status == "stopped"),
            message=result.message.decode(errors="replace"),
            read_log=_read_log(library, handle) if log_reads else None,
        )

    def write_coverage(self, path: Path) -> None:
        """What the model has counted since it was made, in Verilator's text format.

        Writes nothing unless `library` was built with `coverage` (build.build_library).
        """
        for library, handle in self._handles.values():
            library.ps_write_coverage(handle, os.fsencode(path))

    def model(self, seed: int = 0) -> tuple[ctypes.CDLL, int]:
        """The library and the model in it, made with `seed` if need be, for a host (bus.py)."""
        return self._load(trace=False, seed=seed)

    def close(self) -> None:
        """Free the model; the next run makes a new one."""
        for library, handle in self._handles.values():
            library.ps_destroy(handle)
        self._handles.clear()

    def _load(self, *, trace: bool, seed: int) -> tuple[ctypes.CDLL, int]:
        """The library and model of the plain or the tracing variant."""
        if trace not in self._handles:
            path = self._library or build_core(
                self.config.name, trace=trace, assertions=self._assertions
            )
            library = load_library(path)
            self._handles[trace] = (library, library.ps_create(seed))
        return self._handles[trace]


def load_library(path: Path) -> ctypes.CDLL:
    """The functions of a built core, typed; harness.cpp documents them."""
    library = cache.load_library(path)
    handle, word, result = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p
    library.ps_create.restype = ctypes.c_void_p
    library.ps_create.argtypes = [ctypes.c_uint64]
    library.ps_destroy.argtypes = [handle]
    library.ps_start.argtypes = library.ps_attach.argtypes = [handle, ctypes.c_void_p]
    library.ps_step.argtypes = library.ps_run.argtypes = [handle, ctypes.c_uint64, result]
    library.ps_poke.argtypes = [handle, ctypes.c_uint8, word]
    library.ps_peek.argtypes = [handle, ctypes.c_uint8]
    library.ps_peek.restype = word
    library.ps_host.argtypes = [handle, ctypes.c_uint8, word]
    library.ps_write_coverage.argtypes = [handle, ctypes.c_char_p]
    library.ps_log.argtypes = [handle, ctypes.c_void_p]
    library.ps_log.restype = library.ps_sizes.restype = ctypes.c_uint64
    sizes = ctypes.sizeof(_Run) << 32 | ctypes.sizeof(_Result)
    assert library.ps_sizes() == sizes, "harness.cpp and engine.py differ in a structure"
    return library


def _whole_beats(data: bytes) -> Bytes:
    """The bytes as an array, padded with zeros to whole beats (copied only then)."""
    array = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    rest = -len(array) % BEAT_BYTES
    return np.concatenate([array, np.zeros(rest, np.uint8)]) if rest else array


def _stall_words(stall: float | Mapping[str, float]) -> Any:
    """Probabilities as 32-bit fractions, in the order of CHANNELS."""
    chances = dict.fromkeys(CHANNELS, stall) if isinstance(stall, (int, float)) else dict(stall)
    if unknown := set(chances) - set(CHANNELS):
        raise ValueError(f"stall: unknown channel {sorted(unknown)}, one of {CHANNELS}")
    for channel, chance in chances.items():
        if not 0 <= chance < 1:
            raise ValueError(f"stall of {channel} is {chance}: 0 <= probability < 1")
    words = [int(chances.get(channel, 0.0) * (1 << 32)) for channel in CHANNELS]
    return (ctypes.c_uint32 * len(CHANNELS))(*words)


def _read_log(library: ctypes.CDLL, handle: int) -> npt.NDArray[np.uint64]:
    pairs = ctypes.POINTER(ctypes.c_uint64)()
    count = library.ps_log(handle, ctypes.byref(pairs))
    if not count:
        return np.zeros((0, 2), np.uint64)
    return np.ctypeslib.as_array(pairs, (count, 2)).copy()


def _raise_if_bad(result: RunResult) -> None:
    """SimulationError for whatever a correct Program on a correct core never does."""
    where = str(result.position)
    if result.violations:
        raise SimulationError(f"the core broke a rule: {result.message}", where)
    if result.timed_out:
        raise SimulationError(
            f"no interrupt after {result.cycles} cycles",
            where,
            hint="raise max_cycles if the network is that large",
        )
    if result.bad_accesses:
        raise SimulationError(
            f"{result.bad_accesses} beats outside the buffers, the first at {result.first_bad:#x}",
            where,
        )
    if result.error:
        raise SimulationError(f"the core stopped with {ErrorCode(result.error).name}", where)

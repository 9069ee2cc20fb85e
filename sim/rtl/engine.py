"""Engine `rtl`: runs Programs on the Verilated core, memory inside, without copying it."""

import ctypes
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from penstock.program.core.config import BEAT_BYTES, HwConfig, get_config
from penstock.program.core.registers import ErrorCode, Position
from penstock.program.network.package import Package
from penstock.sim.job import Job, whole_beats
from penstock.sim.rtl.build import SimulationError, build_core
from penstock.sim.rtl.memory import BASES, NO_FAULTS, USUAL, Faults, Memory
from penstock.sim.rtl.records import STATUS, Region, ResultRecord, RunRecord, load_library

Bytes = npt.NDArray[np.uint8]

#: Cycles without which a run is taken for hung, per image.
MAX_CYCLES_PER_IMAGE = 50_000_000

_STEP_CYCLES = 1_000_000  # between two looks at Ctrl-C and the progress callback


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

    @classmethod
    def of(
        cls, record: ResultRecord, output: Bytes, read_log: npt.NDArray[np.uint64] | None
    ) -> "RunResult":
        """What the harness said of a run that has ended."""
        status = STATUS[record.status]
        return cls(
            output=output,
            error=record.error,
            position=Position(record.image, record.position),
            cycles=record.cycles,
            timed_out=status == "timeout",
            bad_accesses=record.bad_accesses,
            first_bad=record.first_bad,
            read_beats=record.read_beats,
            write_beats=record.write_beats,
            read_bursts=record.read_bursts,
            write_bursts=record.write_bursts,
            violations=record.protocol_errors + (status == "stopped"),
            message=record.message.decode(errors="replace"),
            read_log=read_log,
        )


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
        memory: Memory = USUAL,
        vcd: Path | None = None,
        max_cycles: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Bytes:
        """Run a package: its output records, uint8 [N, record_bytes].  Arguments as `execute`.

        Raises:
            SimulationError: the core stopped with an error, hung, or broke a rule.
        """
        result = self.execute(
            Job.of(package, inputs),
            memory=memory,
            vcd=vcd,
            max_cycles=max_cycles,
            progress=progress,
        )
        _raise_if_bad(result)
        return result.output

    def execute(
        self,
        job: Job,
        *,
        memory: Memory = USUAL,
        faults: Faults = NO_FAULTS,
        vcd: Path | None = None,
        max_cycles: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        reset: bool = True,
    ) -> RunResult:
        """Run a program over every image; an error of the core is a result, not an exception.

        Args:
            job: program, weights and images; strides are multiples of 8.
            memory: how fast it is, where it lies.
            faults: of the bus.
            vcd: write waves here (another, slower build of the core).
            max_cycles: after so many cycles the run counts as hung.
            progress: called with (images begun, images) about every million cycles.
            reset: reset the core first; without it the core carries on from the last run (a new
                one is reset all the same).

        Raises:
            ValueError: a size, stride or probability is not allowed.
            SimulationError: the core cannot be built.
        """
        inputs = np.ascontiguousarray(job.inputs, np.uint8)
        if inputs.ndim != 2 or inputs.shape[1] % BEAT_BYTES or job.output_stride % BEAT_BYTES:
            raise ValueError(
                f"inputs {inputs.shape}, output_stride {job.output_stride}: strides are whole beats"
            )
        images, output = len(inputs), job.output()
        run = RunRecord(
            **memory.fields(),
            **faults.fields(),
            max_cycles=max_cycles or MAX_CYCLES_PER_IMAGE * max(images, 1),
            n_descriptors=job.descriptors(),
            n_images=images,
            input_stride=inputs.shape[1],
            output_stride=job.output_stride,
            weight_bytes=len(job.weights),
            config_hash=job.hash_for(self.config),
            reset=int(reset),
            vcd=os.fsencode(vcd) if vcd else None,
        )
        buffers = (whole_beats(job.program), whole_beats(job.weights), inputs, output)
        for (name, base), buffer in zip(BASES.items(), buffers, strict=True):
            region = Region(base + memory.base_offset, buffer.nbytes, buffer.ctypes.data)
            setattr(run, name, region)

        library, handle = self._load(trace=vcd is not None, seed=memory.seed)
        library.ps_start(handle, ctypes.byref(run))
        record = ResultRecord()
        while record.status == 0:
            library.ps_step(handle, _STEP_CYCLES, ctypes.byref(record))
            if progress is not None:
                progress(record.images, images)
        log = _read_log(library, handle) if memory.log_reads else None
        return RunResult.of(record, output, log)

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
            path = self._library or build_core(self.config, trace=trace)
            library = load_library(path)
            self._handles[trace] = (library, library.ps_create(seed, self._assertions))
        return self._handles[trace]


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

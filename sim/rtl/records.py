"""The structures that Python and the harness hand each other; records.h has the same."""

import ctypes
from pathlib import Path

from penstock.program.core.registers import BASES as BUFFERS
from penstock.sim import cache

#: AXI channels in the order of records.h; keys of a `stall` mapping.
CHANNELS = ("ar", "r", "aw", "w", "b")

#: What `Result.status` says, by its number.
STATUS = ("running", "done", "timeout", "stopped")

_LONG = ("max_cycles", "fault_read", "fault_write", "hang_cycle", "seed")
_FAULTS = ("latency", "fault_response", "fault_repeats", "hang_mask")
_ARGUMENTS = ("n_descriptors", "n_images", "input_stride", "output_stride", "weight_bytes")
_COUNTS = ("bad_accesses", "first_bad", "read_beats", "write_beats", "read_bursts", "write_bursts")


class Region(ctypes.Structure):
    """A buffer: PsRegion."""

    _fields_ = [("base", ctypes.c_uint64), ("size", ctypes.c_uint64), ("data", ctypes.c_void_p)]


class RunRecord(ctypes.Structure):
    """What a run is to be: PsRun."""

    _fields_ = [
        *((name, Region) for name in BUFFERS),
        *((name, ctypes.c_uint64) for name in _LONG),
        ("stall", ctypes.c_uint32 * len(CHANNELS)),
        *((name, ctypes.c_uint32) for name in (*_FAULTS, *_ARGUMENTS, "config_hash")),
        ("reset", ctypes.c_uint32),
        ("log_reads", ctypes.c_uint32),
        ("vcd", ctypes.c_char_p),
    ]


class ResultRecord(ctypes.Structure):
    """What it was: PsResult."""

    _fields_ = [
        ("status", ctypes.c_int32),
        *((name, ctypes.c_uint32) for name in ("error", "position", "image", "images")),
        ("cycles", ctypes.c_uint64),
        *((name, ctypes.c_uint64) for name in (*_COUNTS, "protocol_errors")),
        ("message", ctypes.c_char * 256),
    ]


STRUCTURES: tuple[type[ctypes.Structure], ...] = (Region, RunRecord, ResultRecord)


def load_library(path: Path) -> ctypes.CDLL:
    """The functions of a built core, typed; harness.cpp documents them."""
    library = cache.load_library(path)
    handle, word, result = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p
    library.ps_create.restype = ctypes.c_void_p
    library.ps_create.argtypes = [ctypes.c_uint64, ctypes.c_int]
    library.ps_destroy.argtypes = [handle]
    library.ps_start.argtypes = library.ps_attach.argtypes = [handle, ctypes.c_void_p]
    library.ps_step.argtypes = library.ps_run.argtypes = [handle, ctypes.c_uint64, result]
    library.ps_poke.argtypes = [handle, ctypes.c_uint8, word]
    library.ps_peek.argtypes = [handle, ctypes.c_uint8]
    library.ps_peek.restype = word
    library.ps_host.argtypes = [handle, ctypes.c_uint8, word]
    library.ps_write_coverage.argtypes = [handle, ctypes.c_char_p]
    library.ps_log.argtypes = [handle, ctypes.c_void_p]
    library.ps_log.restype = ctypes.c_uint64
    library.ps_layout.argtypes = [ctypes.c_void_p]
    library.ps_layout.restype = word
    differ = differences(library)
    assert not differ, f"records.h and records.py differ: {'; '.join(differ)}"
    return library


def differences(library: ctypes.CDLL) -> list[str]:
    """Fields that lie elsewhere, or are larger or smaller, in the library than here."""
    numbers = ctypes.POINTER(ctypes.c_uint32)()
    count = library.ps_layout(ctypes.byref(numbers))
    theirs = [(numbers[i], numbers[i + 1]) for i in range(0, count, 2)]
    names, ours = [], []
    for structure in STRUCTURES:
        for name, *_ in structure._fields_:
            place = getattr(structure, name)
            names.append(f"{structure.__name__}.{name}")
            ours.append((place.offset, place.size))
    if len(ours) != len(theirs):
        return [f"{len(theirs)} fields there, {len(ours)} here"]
    return [
        f"{name} at {there[0]} with {there[1]} bytes there, {here[0]} with {here[1]} here"
        for name, here, there in zip(names, ours, theirs, strict=True)
        if here != there
    ]

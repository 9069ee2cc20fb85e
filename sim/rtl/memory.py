"""The memory that a simulated core sees, and what can go wrong with its bus."""

import ctypes
import dataclasses
from collections.abc import Mapping
from typing import Any

from penstock.sim.rtl.records import CHANNELS

#: Where the buffers lie: every one on its own page, all 64 address bits in use.
BASES = {
    "program": 0x0000_1000_0000_0000,
    "weights": 0x0020_0000_0001_0000,
    "input": 0x4000_0000_0100_0000,
    "output": 0x8000_0001_0000_0000,
}

#: Seed of a core whose memories start at zero, as golden's do.
ZERO_SEED = (1 << 64) - 1

_RESPONSES = {"SLVERR": 2, "DECERR": 3}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How fast it is, and where the buffers lie.

    Attributes:
        latency: cycles from a read's AR handshake to its first beat, and from a write's last beat
            to its response.
        stall: probability that a channel stalls in a cycle; or one for each of CHANNELS.
        seed: of the stalls, and of the uninitialised memories when the core is created
            (ZERO_SEED: they start at zero).
        base_offset: bytes by which every buffer is moved from BASES.
        log_reads: keep address and beats of every read burst.
    """

    latency: int = 40
    stall: float | Mapping[str, float] = 0.0
    seed: int = 0
    base_offset: int = 0
    log_reads: bool = False

    def fields(self) -> dict[str, Any]:
        """Of the harness's PsRun.  ValueError for a probability that is none."""
        return {
            "latency": max(self.latency, 1),
            "stall": _stall_words(self.stall),
            "seed": self.seed,
            "log_reads": int(self.log_reads),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Errors of the bus, and a bus that stops answering.

    Attributes:
        read: answer `response` on the n-th read beat (from 1); 0: never.
        write: answer `response` on the n-th write burst (from 1); 0: never.
        response: "SLVERR" or "DECERR".
        repeats: on every n-th instead of the n-th alone.
        hang: channels of CHANNELS that stand still from `hang_cycle` on, counted from the start;
            the core's watchdog is to notice.
        hang_cycle: see `hang`.
    """

    read: int = 0
    write: int = 0
    response: str = "SLVERR"
    repeats: bool = False
    hang: tuple[str, ...] = ()
    hang_cycle: int = 0

    def fields(self) -> dict[str, int]:
        """The fields of the harness's PsRun that these are."""
        return {
            "fault_read": self.read,
            "fault_write": self.write,
            "fault_response": _RESPONSES[self.response],
            "fault_repeats": int(self.repeats),
            "hang_mask": sum(1 << CHANNELS.index(channel) for channel in self.hang),
            "hang_cycle": self.hang_cycle,
        }


#: A memory of the usual speed, and a bus without faults.
USUAL = Memory()
NO_FAULTS = Faults()


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

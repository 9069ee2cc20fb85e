"""Register map of `s_axi_control`: what Vitis HLS generates for `ap_ctrl_hs` (design section 8)."""

import dataclasses
import enum
from typing import NamedTuple

AP_CTRL = 0x00  # b0 ap_start, b1 ap_done (clear on read), b2 ap_idle, b3 ap_ready
GIER = 0x04  # b0 global interrupt enable
IER = 0x08  # b0 done, b1 ready
ISR = 0x0C  # b0 done, b1 ready; toggles on write

#: Cycles in which a running core may neither move a beat nor compute before it stops with WATCHDOG:
#: 10 ms at 100 MHz, far above any memory's answer and any pause of a unit.
WATCHDOG_CYCLES = 1 << 20

#: Base addresses and strides of the four buffers are multiples of a beat.
BASES = ("program", "weights", "input", "output")

AP_START, AP_DONE, AP_IDLE, AP_READY = 1, 2, 4, 8


@dataclasses.dataclass(frozen=True, slots=True)
class Register:
    """One argument register: offset in bytes, 32 or 64 bits, written by the host or by the core."""

    name: str
    offset: int
    width: int
    doc: str
    from_core: bool = False


REGISTERS: tuple[Register, ...] = (
    Register("program", 0x10, 64, "address of the descriptors"),
    Register("weights", 0x1C, 64, "address of the weight blob"),
    Register("input", 0x28, 64, "address of the first input image"),
    Register("output", 0x34, 64, "address of the first output record"),
    Register("n_descriptors", 0x40, 32, "descriptors of the program"),
    Register("n_images", 0x48, 32, "images to run"),
    Register("input_stride", 0x50, 32, "bytes from one input image to the next"),
    Register("output_stride", 0x58, 32, "bytes from one output record to the next"),
    Register("weight_bytes", 0x60, 32, "bytes of the weight blob"),
    Register("config_hash", 0x68, 32, "hash the program was built for; the core compares it"),
    Register("error", 0x70, 32, "error code of the last run, 0 = none", from_core=True),
    Register("position", 0x80, 32, "descriptor where the core is, or stopped", from_core=True),
    Register("image", 0x90, 32, "image where the core is, or stopped", from_core=True),
)

OFFSETS = {register.name: register.offset for register in REGISTERS}


class Position(NamedTuple):
    """Where a core is, or stopped: what its registers `image` and `position` say."""

    image: int
    descriptor: int

    def __str__(self) -> str:
        return f"image {self.image}, descriptor {self.descriptor}"


class ErrorCode(enum.IntEnum):
    """Why the core stopped; every engine returns the same code for the same cause."""

    NONE = 0
    CONFIG = 1  # program built for another hardware configuration
    OPCODE = 2  # unknown operation
    FIELD = 3  # a field, or an argument, outside what operation and configuration allow
    BOUNDS = 4  # an access outside feature, gate, score, pool memory or the DDR buffers
    READ = 5  # SLVERR or DECERR on a read
    WRITE = 6  # SLVERR or DECERR on a write
    PROGRAM_END = 7  # ran past the last descriptor without HALT
    WATCHDOG = 8  # nothing moved for WATCHDOG_CYCLES: the bus hangs (only a core in hardware)

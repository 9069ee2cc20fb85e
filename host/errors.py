"""What can go wrong on the board: one type a cause, so that a program can tell them apart."""

from penstock.program.base.errors import PenstockError
from penstock.program.core.registers import ErrorCode

#: What each code of the core means and what to do about it.
CAUSES: dict[ErrorCode, tuple[str, str]] = {
    ErrorCode.CONFIG: (
        "the program was compiled for another hardware configuration than the bitstream holds",
        "compile with the bitstream's --config, or load the matching bitstream",
    ),
    ErrorCode.OPCODE: ("unknown operation", "program and bitstream are of different releases"),
    ErrorCode.FIELD: ("a field outside what the core allows", "compile the network again"),
    ErrorCode.BOUNDS: ("an access outside the memories or buffers", "compile the network again"),
    ErrorCode.READ: ("the memory refused a read", "check the HP port and its address range"),
    ErrorCode.WRITE: ("the memory refused a write", "check the HP port and its address range"),
    ErrorCode.PROGRAM_END: ("the program ended without HALT", "copy or compile it again"),
    ErrorCode.WATCHDOG: (
        "nothing moved for 2^20 cycles: the memory does not answer",
        "check clock and HP port, then load the bitstream again: a hung bus needs a reset",
    ),
}


class HostError(PenstockError):
    """Base of every error of the driver."""


#: Behind a hint where PYNQ may have read an older .hwh: it keeps the last one it has parsed.
STALE_HWH = "if the .hwh was replaced, `pynq.PL.reset()` and open the overlay again"


class OverlayError(HostError):
    """Bitstream or .hwh missing, not those of a Penstock design, or not what the FPGA holds."""


class CoreBusyError(HostError):
    """Another process has the core, or this thread is in the middle of a run."""


class ArgumentError(HostError, ValueError):
    """A batch size or a timeout that is none."""


class ConfigurationError(HostError):
    """Bitstream and program are for different hardware configurations."""


class ImageError(HostError):
    """Images of another shape or type than the network takes, or none, or not finite."""


class AddressError(HostError):
    """A buffer does not begin at a multiple of 8 bytes: the core moves whole beats."""


class BufferExhaustedError(HostError):
    """Contiguous memory for the core cannot be had."""


class ClosedError(HostError):
    """The network's buffers, or its overlay, have been freed."""


class InterruptMissingError(HostError):
    """The core is done but its interrupt never came."""


class CoreTimeoutError(HostError):
    """The core is not done in time."""


class CoreError(HostError):
    """The core stopped with an error code.

    Attributes:
        code: the code, an ErrorCode where it is known.
        image: index of the image in the batch of the core.
        descriptor: index of the descriptor.
    """

    def __init__(self, code: int, image: int, descriptor: int) -> None:
        known = code in ErrorCode._value2member_map_
        self.code = ErrorCode(code) if known else code
        self.image, self.descriptor = image, descriptor
        name = ErrorCode(code).name if known else f"code {code}"
        cause, hint = CAUSES.get(
            ErrorCode(code) if known else ErrorCode.NONE,
            ("a code this release does not know", "update the driver"),
        )
        where = f"image {image}, descriptor {descriptor}"
        super().__init__(f"the core stopped with {name}: {cause}", where, hint)

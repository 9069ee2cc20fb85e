"""The register map under the names of a `.hwh`: what Vitis HLS and our packaged IP call them.

A 64-bit argument is two registers, `<name>_1` (low) and `<name>_2`.  Offsets come from
`penstock.program.core.registers`; the driver takes them from the `.hwh` and only compares.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.host.errors import STALE_HWH, OverlayError
from penstock.program.core.registers import AP_CTRL, GIER, IER, ISR, REGISTERS

#: VLNV of the core by how it was made: packaged SystemVerilog, or exported by Vitis HLS.
VLNV = {"rtl": "penstock.dev:core:penstock:1.0", "hls": "xilinx.com:hls:penstock:1.0"}

#: Parameter of the packaged IP that names the hardware configuration it holds.
HASH_PARAMETER = "PENSTOCK_CONFIG_HASH"


class HwhField(NamedTuple):
    """Bits of a register."""

    name: str
    bit: int
    width: int
    access: str


class HwhRegister(NamedTuple):
    """One 32-bit register as a `.hwh` lists it."""

    name: str
    offset: int
    access: str
    fields: tuple[HwhField, ...] = ()


def _bits(access: str, **bits: int) -> tuple[HwhField, ...]:
    return tuple(HwhField(name, bit, 1, access) for name, bit in bits.items())


_CONTROL = (
    HwhRegister(
        "CTRL",
        AP_CTRL,
        "read-write",
        _bits("read-write", AP_START=0) + _bits("read-only", AP_DONE=1, AP_IDLE=2, AP_READY=3),
    ),
    HwhRegister("GIER", GIER, "read-write", _bits("read-write", Enable=0)),
    HwhRegister("IP_IER", IER, "read-write", _bits("read-write", CHAN0_INT_EN=0, CHAN1_INT_EN=1)),
    HwhRegister("IP_ISR", ISR, "read-write", _bits("read-write", CHAN0_INT_ST=0, CHAN1_INT_ST=1)),
)


def hwh_registers() -> tuple[HwhRegister, ...]:
    """Every register of the core, in the order of their offsets."""
    arguments = []
    for register in REGISTERS:
        access = "read-only" if register.from_core else "read-write"
        if register.width == 64:
            arguments += [
                HwhRegister(f"{register.name}_1", register.offset, access),
                HwhRegister(f"{register.name}_2", register.offset + 4, access),
            ]
        else:
            arguments.append(HwhRegister(register.name, register.offset, access))
    return _CONTROL + tuple(arguments)


def vitis_name(name: str) -> str:
    """The name Vitis HLS gives a register whose argument is a Verilog keyword: input_r_1."""
    base, _, half = name.rpartition("_")
    if half in ("1", "2"):
        return f"{base}_r_{half}"
    return f"{name}_r"


def offsets_of(registers: Mapping[str, Any] | None, core: str) -> dict[str, int]:
    """Offset of every register of `core` by name, from PYNQ's view of the `.hwh`.

    Raises:
        OverlayError: there is no register map, or one that is not this core's.
    """
    if not registers:
        raise OverlayError(
            f"the .hwh has no register map for '{core}'",
            hint=f"take .bit and .hwh from the same build; {STALE_HWH}",
        )
    offsets = {}
    for register in hwh_registers():
        found = registers.get(register.name) or registers.get(vitis_name(register.name))
        if found is None:
            raise OverlayError(
                f"the .hwh gives '{core}' no register '{register.name}'",
                hint=f"driver and bitstream are of different releases; {STALE_HWH}",
            )
        if found["address_offset"] != register.offset:
            raise OverlayError(
                f"the .hwh puts register '{register.name}' of '{core}' at "
                f"{found['address_offset']:#x}, this driver knows it at {register.offset:#x}",
                hint=f"driver and bitstream are of different releases; {STALE_HWH}",
            )
        offsets[register.name] = found["address_offset"]
    return offsets

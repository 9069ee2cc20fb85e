"""The clock registers PYNQ sets before it loads a bitstream."""

#: Registers that are not 0 at power-on, by base address: PLLs, and dividers for 100 MHz.
ZYNQ7_SLCR = 0xF800_0000
ZYNQMP_CRL = 0xFF5E_0000
ZYNQMP_CRF = 0xFD1A_0000

_ZYNQ7 = {0x100: 26 << 12, 0x104: 21 << 12, 0x108: 20 << 12, 0x120: 2 << 8}  # 50 MHz x 20: IO PLL
_ZYNQ7 |= {0x170 + 16 * i: 2 << 20 | 5 << 8 for i in range(4)}
_PLL = 45 << 8  # 33.33 MHz x 45
_CRL = {0x20: _PLL, 0x30: _PLL} | {0xC0 + 4 * i: 1 << 24 | 1 << 16 | 15 << 8 for i in range(4)}
_CRF = {0x20: _PLL, 0x2C: _PLL, 0x38: _PLL, 0x60: 1 << 8}

BY_ARCHITECTURE = {
    "armv7l": {ZYNQ7_SLCR: _ZYNQ7},
    "aarch64": {ZYNQMP_CRL: _CRL, ZYNQMP_CRF: _CRF},
}


class RegisterFile:
    """Registers that keep what is written."""

    def __init__(self, values: dict[int, int]) -> None:
        self._values = dict(values)

    def read(self, offset: int) -> int:
        """Read a register."""
        return self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        self._values[offset] = value

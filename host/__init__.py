"""The board side: what a driver needs to know about the core, with NumPy alone.

A PYNQ image carries NumPy 1.x and cannot hold current ONNX or torch, so this package may import
`penstock.program` (the one home of the register map, the counters and the configurations) and
nothing else of Penstock.
"""

from penstock.program.config import CONFIGS, HwConfig, get_config
from penstock.program.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.errors import PenstockError
from penstock.program.registers import (
    AP_CTRL,
    AP_DONE,
    AP_IDLE,
    AP_READY,
    AP_START,
    GIER,
    IER,
    ISR,
    OFFSETS,
    REGISTERS,
    ErrorCode,
    Register,
)

__all__ = [
    "AP_CTRL",
    "AP_DONE",
    "AP_IDLE",
    "AP_READY",
    "AP_START",
    "CONFIGS",
    "COUNTER_BYTES",
    "COUNTER_NAMES",
    "GIER",
    "IER",
    "ISR",
    "OFFSETS",
    "REGISTERS",
    "ErrorCode",
    "HwConfig",
    "PenstockError",
    "Register",
    "get_config",
]

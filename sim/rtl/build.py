"""Verilates a core once per configuration and caches the shared library in build/rtl/."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import locate
from penstock.program.base.toollog import first_error, keep_log
from penstock.program.core.config import HwConfig, get_config
from penstock.sim import sanitize
from penstock.sim.cache import build_once, fingerprint, is_hostile, without_blanks
from penstock.sim.host_header import HOST_HEADER, host_header
from penstock.sim.sources import TOP, build_root, rtl_sources, verilator_env

HARNESS = Path(__file__).with_name("harness.cpp")
#: What it includes, beside the generated HOST_HEADER.
HEADERS = tuple(HARNESS.with_name(name) for name in ("memory.h", "records.h", "rules.h"))
LIBRARY = "libcore.so"

#: -O3 for both: the array's loops vectorise; packing straight-line code (SLP) only costs.
#: The library is for the CPU it is built on (-march=native): the key has g++'s view of that CPU.
#: The wheel's verilated.mk leaves CFG_CXXFLAGS_PCH_I blank.
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
    "-O3 -march=native -fno-tree-slp-vectorize -fPIC -DVL_USER_STOP -DVL_USER_FATAL",
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


def build_core(config: HwConfig | str, *, trace: bool = False) -> Path:
    """The shared library of the core in a configuration, built if need be.

    Args:
        config: the configuration, or the name of one of program/core/config.py.
        trace: the variant that can write waves (slower).

    Raises:
        SimulationError: a tool is missing or the build fails.
        MissingPackageError: Verilator is not installed.
    """
    chosen = get_config(config) if isinstance(config, str) else config
    sources = rtl_sources(chosen)
    return build_library(chosen.name, sources, top=TOP, trace=trace)


def build_library(
    name: str,
    sources: Sequence[Path],
    *,
    top: str,
    trace: bool = False,
    sanitized: bool = False,
    coverage: bool = False,
) -> Path:
    """The shared library of any `top` with the core's ports: build/rtl/<name>-<hash>/libcore.so.

    The hash covers every source, the harness, the flags, Verilator's version and the CPU, so a
    library is never out of date; a lock keeps two processes from building the same one.
    `sanitized`: the variant of sim/sanitize.py.  `coverage`: the variant that counts
    what runs (`RtlCore.write_coverage`), several times slower.

    Raises:
        SimulationError: a tool is missing or the build fails.
    """
    check_tools()
    env = verilator_env()
    # Assertions are in every library but that of coverage, whose lines they would be among: a core
    # says at its making whether they are checked.
    variants = {"--trace": trace, "--assert": not coverage, "--no-assert": coverage}
    flags = [*FLAGS, *(flag for flag, wanted in variants.items() if wanted), "--top-module", top]
    if sanitized:
        words = " ".join(sanitize.FLAGS)
        flags += ["-CFLAGS", words, "-LDFLAGS", words]
    if coverage:
        flags += ["--coverage-line", "--coverage-toggle"]
    if coverage or trace:  # -O3 takes g++ twice as long for these many lines
        flags += ["-CFLAGS", "-O1"]
    folder = build_root() / "rtl" / f"{name}-{_key(sources, flags, env)}"
    return build_once(folder, LIBRARY, lambda work: _build(work, folder, sources, flags, env))


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
        [str(locate("verilator") / "bin" / "verilator_bin"), "--version"],
        env=env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
    ).stdout
    target = subprocess.run(
        ["g++", "-march=native", "-Q", "--help=target"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    ).stdout
    return fingerprint([version, target, host_header(), *flags], [*sources, HARNESS, *HEADERS])


def _build(
    work: Path, folder: Path, sources: Sequence[Path], flags: Sequence[str], env: dict[str, str]
) -> None:
    """Build in the folder `work`; the log of a failure stays beside `folder`."""
    jobs = str(min(2, os.cpu_count() or 1))
    for header in HEADERS:
        shutil.copy(header, work)
    (work / HOST_HEADER).write_text(host_header(), encoding="utf-8")
    files = [str(path) for path in without_blanks([*sources, HARNESS], work)]
    program, env = _without_blanks(env, work)
    command = [program, *flags, "--build-jobs", jobs, "--Mdir", str(work), *files]
    done = subprocess.run(
        command,
        env=env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    log = done.stdout + done.stderr
    if done.returncode or not (work / LIBRARY).is_file():
        kept = keep_log(log, folder.with_suffix(".log"))
        raise SimulationError(
            f"Verilator could not build {folder.name}: {first_error(log)}", hint=kept
        )


def _without_blanks(env: dict[str, str], work: Path) -> tuple[str, dict[str, str]]:
    """Verilator and its environment: one whose path make and shells can take.

    Its Perl wrapper finds itself through links, the program behind it goes by VERILATOR_ROOT.
    """
    installed = locate("verilator")
    if not is_hostile(installed):
        return "verilator", env
    link = work / "verilator"
    link.symlink_to(installed, target_is_directory=True)
    return str(link / "bin" / "verilator_bin"), {**env, "VERILATOR_ROOT": str(link)}

"""Compiles the HLS core's C++ once per configuration and caches the library in build/csim/."""

import shutil
import subprocess
from pathlib import Path

from penstock.hls.sources import (
    CXX_FLAGS,
    CXX_STANDARD,
    HlsError,
    Types,
    headers,
    include_flags,
    one_unit,
    sources,
)
from penstock.program.base.toollog import first_error, keep_log
from penstock.program.core.config import HwConfig
from penstock.program.generate.cplusplus import CONFIG_HEADER, config_header
from penstock.sim import sanitize
from penstock.sim.cache import build_once, fingerprint
from penstock.sim.sources import build_root

HARNESS = Path(__file__).with_name("harness.cpp")
LIBRARY = "libcsim.so"

#: Plain integers vectorise, as long as g++ keeps the loops over lanes and rows until it comes to
#: that; ap_types take long to compile and gain nothing from -O3, and thousands of warnings about
#: their headers take longer than they (tests/hls/test_sources.py asks for those about the sources).
OPTIMISE = {
    Types.PLAIN: ("-O3", "-march=native", "--param=max-completely-peel-times=4"),
    Types.AP: ("-O2", "-w"),
}


def build_csim(config: HwConfig, types: Types = Types.PLAIN, *, sanitized: bool = False) -> Path:
    """The shared library of `config`'s core with these element types, built if need be.

    `sanitized`: the variant of sim/sanitize.py.

    Raises:
        HlsError: g++ or the ap_types headers are missing, or the build fails.
    """
    if shutil.which("g++") is None:
        raise HlsError("'g++' is missing, C simulation needs it", hint="apt-get install g++")
    header = config_header(config)
    optimise = sanitize.FLAGS if sanitized else OPTIMISE[types]
    flags = [f"-std={CXX_STANDARD}", *optimise, *CXX_FLAGS, "-fPIC", "-shared"]
    version = _output(["g++", "-march=native", "-Q", "--help=target", "--version"])
    files = [*sources(), *headers(types), HARNESS]
    key = fingerprint([version, header, *flags], files)
    folder = build_root() / "csim" / f"{config.name}-{types.name.lower()}-{key}"

    def build(work: Path) -> None:
        (work / CONFIG_HEADER).write_text(header, encoding="utf-8")
        files = [*sources(), HARNESS]
        units = one_unit(files) if types is Types.AP else [str(path) for path in files]
        target = ["-o", str(work / LIBRARY)]
        done = subprocess.run(
            ["g++", *flags, *include_flags(types, work), *target, *units],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode:
            kept = keep_log(done.stderr, folder.with_suffix(".log"))
            raise HlsError(
                f"g++ could not build {folder.name}: {first_error(done.stderr)}", hint=kept
            )

    return build_once(folder, LIBRARY, build)


def _output(command: list[str]) -> str:
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=True
    ).stdout

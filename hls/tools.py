"""Runs an emitted project: Vitis HLS where it is installed, g++ with ap_types everywhere else."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from penstock.hls.sources import (
    CXX_FLAGS,
    CXX_STANDARD,
    PLAIN_BUS,
    HlsError,
    ap_types,
    one_unit,
)
from penstock.program.base.toollog import first_error, keep_log

#: Program -> its arguments for a Tcl script, in the order in which they are looked for.
VITIS = {
    "vitis_hls": ("-f", "build.tcl"),
    "vitis-run": ("--mode", "hls", "--tcl", "build.tcl"),
}

#: What g++ or the bench said, kept in the project where that failed.
GCC_LOG = "gcc.log"

_RESULT = re.compile(
    r"penstock: (\d+) images, error (\d+) at image \d+, descriptor \d+, (\d+) bytes differ"
)


def find_vitis() -> str | None:
    """The name of the Vitis HLS program on PATH; None if there is none."""
    return next((name for name in VITIS if shutil.which(name)), None)


def run_vitis(tool: str, folder: Path) -> None:
    """Run build.tcl of the project in `folder`, its output live on stderr.

    Raises:
        HlsError: the tool failed.
    """
    done = subprocess.run([tool, *VITIS[tool]], cwd=folder, stdout=sys.stderr)
    if done.returncode:
        raise HlsError(
            f"{tool} stopped with exit code {done.returncode}",
            str(folder),
            hint="the reason is in its output above and in vitis_hls.log",
        )


def run_gcc(folder: Path) -> dict[str, int]:
    """C simulation of the project in `folder` under g++ with the ap_types of hls4ml.

    Returns:
        images run, error code of the core, and mismatching bytes.

    Raises:
        HlsError: g++ or hls4ml is missing, the sources do not compile, or the bench cannot run.
    """
    if shutil.which("g++") is None:
        raise HlsError("'g++' is missing, C simulation needs it", hint="apt-get install g++")
    files = [*sorted((folder / "src").glob("*.cpp")), *sorted((folder / "tb").glob("*.cpp"))]
    flags = [f"-std={CXX_STANDARD}", "-O2", "-w", *CXX_FLAGS, f"-I{folder / 'src'}"]
    flags += [f"-I{folder / PLAIN_BUS}"]
    flags += ["-isystem", str(ap_types())]
    with tempfile.TemporaryDirectory() as work:
        program = str(Path(work) / "csim")
        _run(
            ["g++", *flags, "-o", program, *one_unit(files)],
            "g++ could not compile the project",
            folder / GCC_LOG,
        )
        bench = [program, str(folder / "tb" / "vectors.bin")]
        done = subprocess.run(bench, capture_output=True, encoding="utf-8", errors="replace")
    found = _RESULT.search(done.stdout)
    if found is None:
        said = done.stdout + done.stderr
        raise HlsError(
            f"the C test bench stopped with exit code {done.returncode}: {first_error(said)}",
            hint=keep_log(said, folder / GCC_LOG),
        )
    images, error, different = map(int, found.groups())
    return {"images": images, "error": error, "mismatches": different}


def _run(command: list[str], failure: str, log: Path) -> None:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise HlsError(f"{failure}: {first_error(done.stderr)}", hint=keep_log(done.stderr, log))

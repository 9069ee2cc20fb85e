"""Fills the virtual environment whose Python runs this: `make setup`.

On the Python and platform that requirements.lock names, every package is the locked one, checked by
its hash; elsewhere pip chooses within the ranges of pyproject.toml.

PyTorch is the one package without a hash.  PyPI's build for Linux brings gigabytes of CUDA; the
CPU build is another file, of a version (+cpu) that PyPI does not serve.  It is taken from where
pip is pointed anyway, else from TORCH_INDEX; where neither has it, PyPI's own build is taken.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
TORCH_INDEX = os.environ.get("TORCH_INDEX", "https://download.pytorch.org/whl/cpu")

#: An index that does not answer costs seconds, not minutes.
PATIENCE = ("--retries", "1", "--timeout", "15")


def this_platform() -> str:
    """What wheels are made for, as the lock words it: `Python 3.11, Linux x86_64`."""
    major, minor = sys.version_info[:2]
    return f"Python {major}.{minor}, {platform.system()} {platform.machine()}"


def locked_platform() -> str:
    """The platform of the lock."""
    return LOCK.read_text(encoding="utf-8").splitlines()[0].partition(": ")[2].rstrip(".")


def torch_version() -> str:
    """The version that pyproject.toml pins."""
    found = re.search(r'"torch==([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert found is not None, "pyproject.toml pins no torch"
    return found[1]


def pip(*arguments: str) -> None:
    """Run pip; its failure ends this program."""
    done = subprocess.run(_pip(*arguments), cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)


def cpu_torch(pin: str) -> bool:
    """Install PyTorch's CPU build, without its dependencies; False if no index has it."""
    indexes: list[tuple[str, ...]] = [(), ("--extra-index-url", TORCH_INDEX, *PATIENCE)]
    for index in indexes if TORCH_INDEX else indexes[:1]:
        command = _pip("install", "--no-deps", *index, f"{pin}+cpu")
        if subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0:
            return True
    return False


def install_torch() -> None:
    """PyTorch in the pinned version; the other packages of the lock or of the ranges follow."""
    pin = f"torch=={torch_version()}"
    if platform.system() == "Linux":  # PyPI's builds for other systems have no CUDA
        if cpu_torch(pin):
            return
        print(f"no index has the CPU build of {pin}: taking PyPI's, with CUDA (TORCH_INDEX=...)")
    pip("install", pin)


def main() -> None:
    """Install what the lock, or pyproject.toml, says; then Penstock itself, editable."""
    here, there = this_platform(), locked_platform()
    if here == there:
        pip("install", "--require-hashes", "--no-deps", "-r", str(LOCK))
        install_torch()
        pip("install", "--no-deps", "--no-build-isolation", "-e", ".")
    else:
        print(f"requirements.lock is for {there}, this is {here}: taking pyproject.toml's ranges")
        install_torch()
        pip("install", "-e", ".[dev]")


def _pip(verb: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", verb, "--quiet"]
    return [*command, *arguments]


if __name__ == "__main__":
    main()

"""The fast tests on the oldest and the newest Python that requires-python allows.

    python .ci/pythons.py [3.10 3.13]

The oldest gets the lowest version of every requirement of pyproject.toml, the newest the newest.
An interpreter is python3.X on the PATH, or one that pyenv or uv has; one that is nowhere is named
and left out, exit code 1 if there is none at all.  The environments are the bare wheel's, without
PyTorch: tests that need it skip.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-pythons"
VERSIONS = ("3.10", "3.13")

#: Contract, importer, integer graph, golden and command line; no simulated core, no training.
FAST = (
    "tests/program",
    "tests/compiler/front",
    "tests/sim/test_golden.py",
    "tests/cli/test_help.py",
    "tests/install",
)
TOOLS = ("pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", "setuptools>=77")


def interpreter(version: str) -> str | None:
    """The path of a Python of that version; None if there is none."""
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python"), reverse=True)
    if shutil.which("uv"):
        found = subprocess.run(
            ["uv", "python", "find", version],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        candidates.append(found.stdout.strip() or None)
    for path in filter(None, candidates):
        done = subprocess.run(
            [path, "--version"], capture_output=True, encoding="utf-8", errors="replace"
        )
        if done.stdout.startswith(f"Python {version}."):  # pyenv's shims answer with an error
            return path
    return None


def lowest() -> list[str]:
    """A constraint for every lower bound of the bare wheel: `onnx>=1.16` -> `onnx==1.16.*`."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    return [f"{name}=={bound}.*" for name, bound in re.findall(r'"([\w-]+)>=([\d.]+)"', block)]


def installer(python: Path) -> list[str]:
    """The command that installs packages for that Python: uv, where it is, takes seconds."""
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--python", str(python)]
    return [str(python), "-m", "pip", "--disable-pip-version-check", "install"]


def environment(version: str, python: str) -> Path:
    """The interpreter of an environment with the bare wheel's packages, made if need be."""
    folder = FOLDER / version
    own, stamp = folder / "bin" / "python", folder / ".installed"
    pins = lowest() if version == VERSIONS[0] else []
    wanted = "\n".join([(ROOT / "pyproject.toml").read_text(encoding="utf-8"), *pins, *TOOLS])
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        constraints = folder / "constraints.txt"
        constraints.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
        packages = ["-c", str(constraints), *TOOLS, "-e", "."]
        subprocess.run([*installer(own), "--quiet", *packages], cwd=ROOT, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return own


def main() -> int:
    """Run the tests on each version; 1 if any fails."""
    failed = ran = 0
    for version in sys.argv[1:] or VERSIONS:
        python = interpreter(version)
        if python is None:
            print(f"Python {version}: not found (python{version}, pyenv or uv), left out")
            continue
        print(f"== Python {version}", flush=True)
        own = environment(version, python)
        jobs = os.environ.get("JOBS", "2")
        command = [str(own), "-m", "pytest", "-q", "-n", jobs, "-p", "no:cacheprovider", *FAST]
        failed |= subprocess.run([*command, "-m", "not slow"], cwd=ROOT).returncode
        ran += 1
    return int(bool(failed) or not ran)


if __name__ == "__main__":
    sys.exit(main())

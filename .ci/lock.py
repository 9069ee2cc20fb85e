"""requirements.lock: every package of the development environment, its version and its hash.

    python .ci/lock.py            resolve `.[dev]` with pip and write the lock
    python .ci/lock.py --check    exit code 1 if the lock misses a requirement of pyproject.toml

The hashes are those of the files that pip chose here: wheels of this Python on this platform.
`make setup` installs just these, and PyTorch after them (environment.py has the reason).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tomllib
from environment import LOCK, ROOT, TORCH_INDEX, this_platform, torch_version
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Packages that the lock leaves to environment.py, and Penstock itself.
APART = ("torch", "penstock")


def resolve() -> list[tuple[str, str, str]]:
    """(name, version, sha256) of everything that `pip install .[dev]` would install.

    With PyTorch's CPU build, whatever PyPI has: its dependencies are another's on every platform.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report), f"{ROOT}[dev]"]
        command += [f"torch=={torch_version()}+cpu"]
        if not _has_cpu_torch():
            command += ["--extra-index-url", TORCH_INDEX]
        subprocess.run(command, check=True)
        entries: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return sorted(
        (
            canonicalize_name(entry["metadata"]["name"]),
            entry["metadata"]["version"],
            entry["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for entry in entries
        if entry["metadata"]["name"] not in APART
    )


def _has_cpu_torch() -> bool:
    """Whether the indexes that pip is pointed at anyway have it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder]
        command += [f"torch=={torch_version()}+cpu"]
        return subprocess.run(command, capture_output=True).returncode == 0


def write(packages: list[tuple[str, str, str]]) -> None:
    """The lock in pip's own format."""
    lines = [
        f"# Written by `make lock`: {this_platform()}.",
        *(f"{name}=={version} --hash=sha256:{digest}" for name, version, digest in packages),
    ]
    part = LOCK.with_suffix(".part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(LOCK)


def locked() -> dict[str, str]:
    """Name -> version."""
    lines = [
        line for line in LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    pairs = [line.partition(" ")[0].split("==") for line in lines]
    return dict(pairs)


def direct_requirements() -> list[Requirement]:
    """What pyproject.toml asks for: the package's own requirements and all extras'."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(text) for group in groups for text in group]
    return [requirement for requirement in requirements if requirement.name not in APART]


def missing() -> list[str]:
    """Requirements of pyproject.toml that the lock does not hold."""
    versions = locked()
    return [
        str(requirement)
        for requirement in direct_requirements()
        if not requirement.specifier.contains(
            versions.get(canonicalize_name(requirement.name), "0"), prereleases=True
        )
        or canonicalize_name(requirement.name) not in versions
    ]


def main() -> int:
    """Write or check the lock."""
    parser = argparse.ArgumentParser(description="requirements.lock of the environment")
    parser.add_argument("--check", action="store_true", help="only compare with pyproject.toml")
    if not parser.parse_args().check:
        write(resolve())
    stale = missing()
    for requirement in stale:
        print(f"requirements.lock has nothing for '{requirement}': run `make lock`")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())

"""What pip would install for Penstock's wheel, as a folder of links: nothing else is importable."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def distributions(requirements: list[str], extra: str = "") -> set[str]:
    """Names of the installed distributions that these requirements pull in, theirs included."""
    found: set[str] = set()
    wanted = [(Requirement(text), extra) for text in requirements]
    while wanted:
        requirement, of = wanted.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": of}):
            continue
        if name not in found:
            found.add(name)
            texts = metadata.requires(name) or []
            for group in ("", *requirement.extras):
                wanted += [(Requirement(text), group) for text in texts]
    return found


def link_packages(folder: Path, names: set[str]) -> None:
    """Fill `folder` with links to the top-level files and folders of these distributions."""
    folder.mkdir()
    for name in names:
        distribution = metadata.distribution(name)
        tops = {path.parts[0] for path in distribution.files or () if path.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            source = Path(str(distribution.locate_file(top)))
            link = folder / top
            if source.exists() and not link.exists():
                link.symlink_to(source)


def requirements_of(wheel: Path) -> tuple[str, list[str], set[str]]:
    """Requires-Python, requirements and extras, as the unpacked wheel's metadata has them."""
    (info,) = wheel.glob("*.dist-info")
    text = (info / "METADATA").read_text()
    return (
        re.search(r"^Requires-Python: (.*)$", text, re.MULTILINE)[1],  # type: ignore[index]
        re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE),
        set(re.findall(r"^Provides-Extra: (.*)$", text, re.MULTILINE)),
    )


def run(code: str, *paths: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code that sees the standard library and `paths`, with an empty home."""
    start = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + code],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )

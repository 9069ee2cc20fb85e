"""mypy over the packages under the names they are installed as (penstock.<folder>).

mypy cannot follow setuptools' package-dir, so the names are made with symbolic links.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINKS = ROOT / "build" / "typing"


def main() -> int:
    """Link every folder that holds a package, run mypy, return its exit code."""
    package = LINKS / "penstock"
    package.mkdir(parents=True, exist_ok=True)
    for old in package.iterdir():
        old.unlink()
    folders = sorted(init.parent for init in ROOT.glob("*/__init__.py"))
    for folder in folders:
        if folder.name != "penstock":
            (package / folder.name).symlink_to(folder, target_is_directory=True)
    for path in sorted((ROOT / "penstock").iterdir()):  # the package itself
        if path.suffix in (".py", ".typed"):
            (package / path.name).symlink_to(path)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "-p", "penstock", *sys.argv[1:]],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(LINKS)},
    ).returncode


if __name__ == "__main__":
    sys.exit(main())

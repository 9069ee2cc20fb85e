"""What the driver imports, and how large it is: it has to live on a board."""

import ast
import subprocess
import sys
from pathlib import Path

ALLOWED = {"numpy", "pynq", "penstock", "matplotlib"}


def test_numpy_and_pynq_only(bundle: Path) -> None:
    for path in sorted((bundle / "penstock").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                parts = name.split(".")
                assert parts[0] in ALLOWED | set(sys.stdlib_module_names), (path, name)
                if parts[0] == "penstock":
                    assert parts[1] in ("host", "program"), (path, name)
                if parts[0] == "matplotlib":
                    assert path.name == "profile.py", path


def test_the_driver_is_imported_from_the_bundle_without_matplotlib(bundle: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "sys.modules['matplotlib'] = None\n"
        "import penstock.host as host\n"
        "host.PenstockOverlay\n"
        f"assert pathlib.Path(host.__file__).is_relative_to({str(bundle)!r}), host.__file__\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=bundle)


def test_driver_is_small(bundle: Path) -> None:
    """27 KB compute before and behind the core (program/network/ends*.py, pixels.py)."""
    size = sum(path.stat().st_size for path in (bundle / "penstock").rglob("*.py"))
    assert size < 168 << 10, size


def test_python_3_10_parses_it(bundle: Path) -> None:
    """PYNQ 3.1.2 carries Python 3.10."""
    for path in sorted((bundle / "penstock").rglob("*.py")):
        ast.parse(path.read_text(), feature_version=(3, 10))

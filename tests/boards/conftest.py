"""A Tcl interpreter in which Vivado's commands are recorded."""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

STUB = Path(__file__).with_name("vivado_stub.tcl")


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a script did: exit code, stderr, and the commands with their words."""

    code: int
    error: str
    commands: list[list[str]]

    def named(self, name: str) -> list[list[str]]:
        """The words of every call of `name`."""
        return [command[1:] for command in self.commands if command[0] == name]


def interpreter() -> list[str]:
    """A command that runs a Tcl script: Debian's tclsh, or the Tcl inside Python's tkinter."""
    if tclsh := shutil.which("tclsh"):
        return [tclsh]
    code = (
        "import sys, tkinter; tcl = tkinter.Tcl(); tcl.call('set', 'stub_args', sys.argv[2:]); "
        "tcl.call('source', sys.argv[1])"
    )
    if subprocess.run([sys.executable, "-c", "import tkinter"], capture_output=True).returncode:
        pytest.skip("no Tcl here: apt-get install tcl (or python3-tk)")
    return [sys.executable, "-c", code]


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Recording]:
    """record(build.tcl, progress=..., slack=...) -> what Vivado would have been told."""

    def run(script: Path, progress: str = "100%", slack: str = "0.5") -> Recording:
        out = tmp_path / "record.txt"
        command = [*interpreter(), str(STUB), str(script), str(out), progress, slack]
        done = subprocess.run(command, cwd=script.parent, capture_output=True, text=True)
        lines = out.read_text().splitlines()
        return Recording(done.returncode, done.stderr, [line.split("\x1f") for line in lines])

    return run

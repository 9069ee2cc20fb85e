"""Runs docs/tutorial.md block by block, as copied, with any environment's `penstock`."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of every code block."""
    yield from BLOCK.findall(document.read_text())


def run_tutorial(tutorial: Path, folder: Path, python: Path) -> str:
    """Every block in its order, in `folder`; a `$` line is followed by its answer.

    `python`: the interpreter of the environment whose `penstock` is tried, by its path there.
    Returns the listing of the tutorial's network.  AssertionError where a command fails.
    """
    path = os.pathsep.join([str(python.parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}

    def run(command: list[str] | str, code: int = 0) -> str:
        shell = isinstance(command, str)
        done = subprocess.run(
            command, shell=shell, cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done.stdout + done.stderr

    for language, text in blocks(tutorial):
        if "class Gated" in text:
            (folder / "gated.py").write_text(text)
        elif language == "python":
            run([str(python), "-c", text])
        elif text.startswith("$ "):
            command, answer = text.split("\n", 1)
            assert answer in run(command[2:], code=2)
        elif text.startswith(("penstock", "python")):
            for line in text.splitlines():
                run(line)
    return run("penstock disasm gated")

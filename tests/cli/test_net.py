"""The outer net: whatever goes wrong ends with one line and exit code 2, never a traceback."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Runner, Workspace


def raising(error: BaseException) -> Any:
    def load(path: Path) -> None:
        raise error

    return load


class Fail(Exception):
    """Stands for an exception of a library."""


Fail.__module__ = "onnxruntime.capi"


@pytest.mark.parametrize(
    "error, message",
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), "No space left on device: x; free"),
        (PermissionError(errno.EACCES, "Permission denied", "y"), "Permission denied: y; check"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "z"), "Is a directory: z; give"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "File name too long; give a shorter"),
        (OSError("odd"), "unexpected OSError: odd; this is a mistake in Penstock"),
        (MemoryError(), "not enough memory; give fewer images"),
        (MemoryError("Unable to allocate 9. TiB"), "not enough memory: Unable to allocate 9. TiB"),
        (RecursionError("maximum recursion depth"), "nested too deeply"),
        ("\udcff", "text in an encoding that cannot be used"),
        (KeyError("x"), "unexpected KeyError: 'x'; this is a mistake in Penstock: please report"),
        (AssertionError(), "unexpected AssertionError"),
        (Fail("[ONNXRuntimeError] : 1\nmore"), "onnxruntime Fail: [ONNXRuntimeError] : 1 more"),
        (SystemExit(1), "unexpected SystemExit"),
        (ValueError("many words " * 9999), "this is a mistake in Penstock"),
    ],
)
def test_any_exception(
    penstock: Runner,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    error: Any,
    message: str,
) -> None:
    if isinstance(error, str):
        error = UnicodeEncodeError("ascii", error, 0, 1, "ordinal not in range(128)")
    monkeypatch.setattr("penstock.cli.commands.disasm.load_network", raising(error))
    result = penstock("disasm", workspace.compiled)
    assert message in result.error
    assert len(result.error) < 1100
    assert "Traceback" not in result.err


@pytest.mark.parametrize("how", ["after", "before", "environment"])
def test_debug_shows_the_traceback(
    penstock: Runner, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("penstock.cli.commands.disasm.load_network", raising(KeyError("x")))
    words: list[object] = ["disasm", workspace.compiled]
    if how == "environment":
        monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    else:
        words.insert(0 if how == "before" else 2, "--debug")
    result = penstock(*words)
    assert result.code == 2
    assert "Traceback" in result.err
    assert "error: unexpected KeyError" in result.err


def test_interrupted(penstock: Runner, workspace: Workspace, monkeypatch: Any) -> None:
    monkeypatch.setattr("penstock.cli.commands.disasm.load_network", raising(KeyboardInterrupt()))
    result = penstock("disasm", workspace.compiled)
    assert (result.code, result.out, result.err.strip()) == (130, "", "interrupted")


def run(command: str, *words: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A shell command in which "penstock" is this one, with a clean environment."""
    text = command.replace("penstock", f"'{sys.executable}' -m penstock.cli.main")
    text = text.replace("$1", '"$1"').replace("$2", '"$2"')
    names = ("PATH", "VIRTUAL_ENV", "PYTHONPATH", "OMP_NUM_THREADS")
    env = {name: os.environ[name] for name in names if name in os.environ} | environment
    arguments = ["bash", "-o", "pipefail", "-c", text, "bash", *map(str, words)]
    return subprocess.run(arguments, capture_output=True, env=env)


@pytest.mark.parametrize("words", ["disasm $1", "train --help"])
def test_the_reader_of_stdout_goes(workspace: Workspace, words: str) -> None:
    done = run(f"penstock {words} | true", workspace.compiled)
    assert done.stderr == b""
    assert done.returncode == 128 + signal.SIGPIPE


def test_stdout_is_full(workspace: Workspace) -> None:
    done = run("penstock disasm $1 > /dev/full", workspace.compiled)
    assert done.returncode == 2
    assert done.stderr == b"error: No space left on device; free some space or write elsewhere\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(workspace: Workspace, closed: str, tmp_path: Path) -> None:
    out = tmp_path / "x.json"
    done = run(f"penstock estimate $1 --masks 1 --json $2 {closed}", workspace.compiled, out)
    assert (done.returncode, done.stderr) == (0, b"")
    assert out.read_text().startswith("{")
    done = run(f"penstock estimate $1 --keep 2 {closed}", workspace.compiled)
    assert done.returncode == 2
    assert (b"error: " in done.stderr) == ("2>" not in closed)


@pytest.fixture(scope="module")
def odd_names(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network with brackets, an accent, an escape sequence and a line break in every name."""
    import onnx

    model = onnx.load(workspace.onnx)
    for index, node in enumerate(model.graph.node):
        node.name = f"[/b]é\x1b[2J\n[red]{index}[{node.name}]"
    path = tmp_path_factory.mktemp("[odd] é") / "[bold]net[x].onnx"
    onnx.save(model, path)
    return path


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        ASCII,
        {"LC_ALL": "POSIX"},
        {"PYTHONIOENCODING": "ascii"},
        {"COLUMNS": "10"},
        {"TERM": "dumb", "NO_COLOR": "1"},
        {"FORCE_COLOR": "1"},
    ],
)
def test_names_that_rich_or_the_locale_dislike(
    odd_names: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = tmp_path / "[green] é"
    options = "--config tiny -o $2"
    done = run(f"penstock compile $1 {options}", odd_names, folder, **environment)
    assert done.returncode == 0, done.stderr
    for command in ("estimate $1 --masks 1 --board pynq-z2", "disasm $1"):
        done = run(f"penstock {command}", folder, **environment)
        assert done.returncode == 0, done.stderr
        assert b"\x1b[2J" not in done.stdout
        if "COLUMNS" not in environment:
            assert b"[red]" in done.stdout
    assert "é" in (folder / "listing.txt").read_text(encoding="utf-8")


def test_a_refusal_with_odd_names(odd_names: Path, tmp_path: Path, penstock: Runner) -> None:
    import onnx

    model = onnx.load(odd_names)
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Hardmax"
    onnx.save(model, tmp_path / "bad.onnx")
    error = penstock("compile", tmp_path / "bad.onnx", "-o", tmp_path / "n").error
    assert "[red]" in error
    assert "\x1b" not in error


def test_a_file_name_that_is_no_text(workspace: Workspace, tmp_path: Path) -> None:
    done = run("penstock disasm $1/$'\\xff'", tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith(b"no such file or folder; penstock compile\n")


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "NET", "--engine", "golden", "--images", "X", "--json", "X"),
        ("simulate", "NET", "--engine", "golden", "--images", "X", "--save", "X"),
        ("simulate", "NET", "--engine", "golden", "--images", "X", "--save", "o", "--json", "o"),
        ("export", "X", "-o", "X"),
        ("train", "--init", "X", "-o", "X"),
    ],
)
def test_no_output_over_an_input(
    penstock: Runner, workspace: Workspace, tmp_path: Path, words: tuple[str, ...]
) -> None:
    images = tmp_path / "x.npy"
    np.save(images, np.load(workspace.images))
    before = images.read_bytes()
    files = {"NET": workspace.compiled, "X": images, "o": tmp_path / "o"}
    error = penstock(*(files.get(word, word) for word in words)).error
    assert "would be written, and is given as" in error
    assert images.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]

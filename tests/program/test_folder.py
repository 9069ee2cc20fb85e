"""What a command wrote is replaced, all else stays; at every moment one result is whole."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.program.base import folder as module
from penstock.program.base.files import WriteError
from penstock.program.base.folder import (
    MANIFEST,
    READY,
    STAGED,
    check_folder,
    reading,
    write_folder,
)


def fill(**files: str) -> Callable[[Path], None]:
    """fill(a="text", sub__b="text"): writes a and sub/b."""

    def write(folder: Path) -> None:
        for name, text in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    return write


def content(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A first result of `compile`, and what a user and a tool put beside it."""
    folder = tmp_path / "net"
    write_folder(folder, fill(a="old", sub__b="old", gone="old"), "compile")
    (folder / "notes.txt").write_text("mine")
    (folder / "sub" / "penstock.bit").write_text("of Vivado")
    return folder


def test_only_its_own_files_are_replaced(result: Path) -> None:
    write_folder(result, fill(a="new", sub__b="new"), "compile")
    mine = {"notes.txt": "mine", "sub/penstock.bit": "of Vivado"}
    assert content(result) == {"a": "new", "sub/b": "new"} | mine


def test_a_changed_file_is_refused_and_named(result: Path) -> None:
    (result / "a").write_text("edited")
    before = content(result)
    with pytest.raises(WriteError, match=r"a in .* changed since this command wrote it; .*--force"):
        write_folder(result, fill(a="new"), "compile")
    with pytest.raises(WriteError, match="changed"):
        check_folder(result, "compile")
    assert content(result) == before
    write_folder(result, fill(a="new"), "compile", force=True)
    assert content(result)["a"] == "new"
    assert content(result)["notes.txt"] == "mine"


def test_a_file_of_somebody_else_is_not_replaced(result: Path) -> None:
    before = content(result)
    with pytest.raises(WriteError, match=r"notes\.txt in .* was not written by this command"):
        write_folder(result, lambda f: (f / "notes.txt").write_text("new"), "compile")
    assert content(result) == before
    (result / "a").unlink()
    (result / "a").symlink_to(result / "notes.txt")  # a link in our file's place is the user's
    with pytest.raises(WriteError, match="changed"):
        write_folder(result, fill(a="new"), "compile")
    assert (result / "notes.txt").read_text() == "mine"


def test_a_folder_that_is_not_ours(tmp_path: Path, result: Path) -> None:
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    with pytest.raises(WriteError, match=r"is not the output of this command; .*--force"):
        write_folder(other, fill(a="x"), "compile")
    with pytest.raises(WriteError, match="output of this command but of penstock compile"):
        write_folder(result, fill(a="x"), "deploy")
    write_folder(other, fill(a="x"), "compile", force=True)
    assert content(other) == {"a": "x", "thesis.tex": "precious"}
    write_folder(other, fill(a="y"), "compile")  # now it is
    with pytest.raises(WriteError, match="is not a folder"):
        write_folder(other / "thesis.tex", fill(a="x"), "compile")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"command": "compile"}',
        '{"command": 1, "files": {}}',
        '{"command": "compile", "files": {"../outside": "0"}}',
        '{"command": "compile", "files": {"/etc/passwd": "0"}}',
        '{"command": "compile", "files": {"a": 3}}',
        "\udcff",
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WriteError, match="is not the output of this command"):
        write_folder(folder, fill(a="x"), "compile")


def test_a_link_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("far")
    write_folder(link, fill(a="one"), "compile")
    write_folder(link, fill(a="two"), "compile")
    assert link.is_symlink()
    assert content(tmp_path / "far") == {"a": "two"}


def test_a_failure_leaves_nothing(tmp_path: Path, result: Path) -> None:
    def fail(folder: Path) -> None:
        fill(a="half")(folder)
        raise WriteError("refused")

    before = content(result)
    for folder in (result, tmp_path / "fresh"):
        with pytest.raises(WriteError, match="refused"):
            write_folder(folder, fail, "compile")
    assert content(result) == before
    assert not (tmp_path / "fresh").exists()


def test_a_file_where_a_folder_goes(result: Path) -> None:
    before = content(result)
    for write in (fill(notes__txt="x"), lambda f: (f / "sub").write_text("x")):
        (result / "notes").write_text("mine")
        with pytest.raises(WriteError, match="is a file where a folder goes"):
            write_folder(result, write, "compile", force=True)
    assert content(result) == before | {"notes": "mine"}


def die_at(count: int) -> str:
    """Code that ends the process, as kill -9 does, at the count-th change of the file system."""
    return f"""
import os, shutil
left = {count}
def dying(function):
    def call(*arguments, **settings):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return function(*arguments, **settings)
    return call
for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
    setattr(os, name, dying(getattr(os, name)))
shutil.rmtree = dying(shutil.rmtree)
from pathlib import Path
from penstock.program.base.folder import write_folder
def write(folder):
    for name in ("a", "b", "c"):
        (folder / name).write_text("new")
        if left == 0:
            os._exit(9)
import sys
write_folder(Path(sys.argv[1]), write, "compile")
"""


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Whoever reads next sees the old result or the new one, whole; the user's file stays."""
    seen = set()
    for count in range(40):
        folder = tmp_path / f"net{count}"
        write_folder(folder, fill(a="old", b="old", gone="old"), "compile")
        (folder / "notes").write_text("mine")
        done = subprocess.run([sys.executable, "-c", die_at(count), str(folder)])
        with reading(folder):
            found = {k: v for k, v in content(folder).items() if not k.startswith(".penstock")}
        mine = {"notes": "mine"}
        old = {"a": "old", "b": "old", "gone": "old"}
        new = {"a": "new", "b": "new", "c": "new"}
        assert found in (old | mine, new | mine), (count, found)
        seen.add(found["a"])
        write_folder(folder, fill(a="newer"), "compile")
        assert content(folder) == {"a": "newer"} | mine, count
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert seen == {"old", "new"}
    assert not list(folder.glob(".penstock-*"))


def test_a_first_result_that_was_killed(tmp_path: Path) -> None:
    for name in (STAGED, READY):
        (tmp_path / name / name).mkdir(parents=True)
        write_folder(tmp_path / name, fill(a="x"), "compile")
        assert content(tmp_path / name) == {"a": "x"}


def test_two_at_once(tmp_path: Path) -> None:
    """Both end well, and the folder holds one of the results."""
    code = (
        "import sys, time; from pathlib import Path; from penstock.program.base.folder import *\n"
        "def write(f):\n"
        "    [((f / n).write_text(sys.argv[2]), time.sleep(0.1)) for n in 'abc']\n"
        "write_folder(Path(sys.argv[1]), write, 'compile')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "net")]
    both = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [process.wait(30) for process in both] == [0, 0]
    assert set(content(tmp_path / "net").values()) in ({"one"}, {"two"})
    assert len(json.loads((tmp_path / "net" / MANIFEST).read_text())["files"]) == 3


def test_a_full_disk_changes_nothing(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(result)

    def full(path: Path) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_digest", full)
    with pytest.raises(WriteError, match=r"cannot write .*: No space left on device"):
        write_folder(result, fill(a="new"), "compile")
    assert content(result) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written(result: Path) -> None:
    result.chmod(0o555)
    with pytest.raises(WriteError, match="Permission denied"):
        write_folder(result, fill(a="new"), "compile")

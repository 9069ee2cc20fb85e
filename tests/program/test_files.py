"""Files that appear whole or not at all, and what is never renamed over."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from penstock.program.base.files import WriteError, write_file, write_text


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    def half(file) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    write_text(tmp_path / "new" / "a.txt", "one, é")
    with pytest.raises(WriteError, match=r"cannot write .*a\.txt: No space left"):
        write_file(tmp_path / "new" / "a.txt", half)
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "one, é"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_mode_is_kept_and_new_files_follow_umask(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("x")
    old.chmod(0o640)
    write_text(old, "y")
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "y")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "link"
    link.symlink_to("far/target.txt")
    write_text(link, "first")  # the target was not there
    write_text(link, "second")
    assert link.is_symlink()
    assert (tmp_path / "far" / "target.txt").read_text() == "second"
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(WriteError, match="symbolic links"):
        write_text(loop, "x")


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()))
    reader.start()
    write_text(fifo, "through")
    reader.join(10)
    assert got == ["through"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    write_text(Path("/dev/null"), "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    write_file(link, lambda file: np.savez(file, a=np.zeros(3)))
    assert link.is_symlink()
    node = tmp_path / "node"
    try:
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        write_text(node, "x")
    except PermissionError:
        pytest.skip("only root makes device nodes")
    except WriteError:
        pass  # a file system mounted without devices
    assert stat.S_ISCHR(node.stat().st_mode)


def test_stdout_keeps_what_was_printed_before(tmp_path: Path) -> None:
    """`--json /dev/stdout > out.txt`: neither truncated nor replaced under the shell's feet."""
    code = (
        "import sys; from pathlib import Path; from penstock.program.base.files import write_text;"
        "print('before', flush=True); write_text(Path('/dev/stdout'), 'json\\n'); print('after')"
    )
    with (tmp_path / "out.txt").open("w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out.txt").read_text() == "before\njson\nafter\n"


@pytest.mark.parametrize(
    "name, message",
    [
        (".", "it is a folder"),
        ("x" * 300, "File name too long"),
        ("file/below", "Not a directory|File exists"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(WriteError, match=message):
        write_text(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "a file"


def test_the_longest_name(tmp_path: Path) -> None:
    """The temporary name is short: any name that can be written is."""
    write_text(tmp_path / ("x" * 255), "x")

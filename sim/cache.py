"""Shared libraries that are built once and kept: a lock, a temporary folder, a checksum."""

import ctypes
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from penstock.program.base.errors import PenstockError
from penstock.program.base.locks import locked

#: What make takes for something else than a part of a file name.
_HOSTILE = set(" \t\n#$%:;|&<>()[]{}'\"`*?!~\\=,")


def fingerprint(words: Sequence[str], files: Sequence[Path]) -> str:
    """16 hexadecimal digits that change with any of the words or the files' names or contents."""
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape"))
    for path in files:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def build_once(folder: Path, library: str, build: Callable[[Path], None]) -> Path:
    """The file `library` in `folder`; if it is not there whole, `build` makes it.

    `build` is given a temporary folder whose path has no character that make cannot take.  A lock
    keeps two processes from building the same library, a broken build leaves nothing, and a
    library that is not what was built - cut short, overwritten - is built again, never loaded.
    """
    path = folder / library
    if _intact(path):
        return path
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock"), f"the build of {folder.name}"):
        if _intact(path):  # another process has built it meanwhile
            return path
        with tempfile.TemporaryDirectory(
            dir=scratch(folder.parent), prefix=f"{folder.name}."
        ) as work:
            build(Path(work))
            folder.mkdir(exist_ok=True)
            _keep(Path(work) / library, path)
    return path


def load_library(path: Path) -> ctypes.CDLL:
    """A built library, loaded.  PenstockError if the system's linker refuses it."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise PenstockError(
            f"the built simulation cannot be loaded: {error}",
            hint=f"remove {path.parent}, it is built again",
        ) from error


def scratch(preferred: Path) -> Path:
    """`preferred`, or where make and Verilator cannot work in it a temporary folder of the system.

    Raises:
        PenstockError: no such folder is known.
    """
    for folder in (preferred, Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if not is_hostile(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise PenstockError(
        f"make cannot build in {preferred}, whose name has blanks or other special characters",
        hint="set TMPDIR to a folder without them",
    )


def is_hostile(path: Path) -> bool:
    """Whether make or a shell would take `path` apart."""
    return not _HOSTILE.isdisjoint(str(path))


def without_blanks(files: Sequence[Path], work: Path) -> list[Path]:
    """The same files, those whose path make cannot take by way of links in the folder `work`."""
    links: dict[Path, Path] = {}
    for path in files:
        if is_hostile(path) and path.parent not in links:
            link = work / f"from{len(links)}"
            link.symlink_to(path.parent, target_is_directory=True)
            links[path.parent] = link
    return [links[path.parent] / path.name if path.parent in links else path for path in files]


def _keep(made: Path, path: Path) -> None:
    """Give a library its place, after its checksum: one without the other is no library."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        shutil.copyfile(made, temporary)
        temporary.chmod(0o755)
        _sum_file(path).write_text(_digest(temporary) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _intact(path: Path) -> bool:
    """Whether `path` is the library whose checksum lies beside it."""
    try:
        wanted = _sum_file(path).read_text(encoding="utf-8").strip()
        return bool(wanted) and wanted == _digest(path)
    except (OSError, UnicodeError):
        return False


def _sum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

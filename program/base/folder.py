"""Folders of results: what a command wrote is replaced, all else that lies there stays.

A folder has a manifest (`.penstock.json`: the command, and the SHA-256 of every file it wrote).
Writing is staged inside the folder itself:

    .penstock-staged   the new files, while they are made; rubbish if the process dies
    .penstock-ready    the same, complete: from this rename on the new result counts, and whoever
                       comes next - the same process, or one after a crash - moves it into place

so at every moment the old or the new result is there whole.  A lock on the folder keeps two
commands apart.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from penstock.program.base.files import TEMPORARY, WriteError
from penstock.program.base.locks import locked

MANIFEST = ".penstock.json"
STAGED = f"{TEMPORARY}staged"
READY = f"{TEMPORARY}ready"

_SHOWN = 3  # files named in a message


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What a command wrote: relative POSIX path -> SHA-256."""

    command: str
    files: Mapping[str, str]


def write_folder(
    folder: Path, write: Callable[[Path], object], command: str, *, force: bool = False
) -> None:
    """Let `write` fill an empty folder whose files then replace those of an earlier result.

    Files in `folder` that the command did not write stay as they are.  A link is followed.

    Args:
        folder: a folder of an earlier result, an empty one, or nothing.
        write: is given an empty folder.
        command: name of the command, "compile".
        force: also write into a folder that is not such a result, and over changed files.

    Raises:
        WriteError: as `check_folder`, or a new file would replace one that `command` did not
            write, or the file system refuses.  What was there is as it was.
    """
    target = Path(os.path.realpath(folder))
    made = False
    try:
        if not target.is_dir():
            check_folder(folder, command, force=force)
            target.mkdir(parents=True, exist_ok=True)
            made = True
        with _held(target):
            _write(target, folder, write, command, force)
    except BaseException as error:
        if made:
            with contextlib.suppress(OSError):
                target.rmdir()
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise WriteError(f"cannot write {folder}: {error.strerror or error}") from error
        raise


def check_folder(folder: Path, command: str, *, force: bool = False) -> None:
    """WriteError if `write_folder` would refuse `folder`: before hours of work, not after.

    Refused are what is no folder and, without `force`, a folder with files in it that was not
    written by `command`, and one whose files of that command were changed since.
    """
    target = Path(os.path.realpath(folder))
    try:
        if not os.path.lexists(target):
            return
        if not target.is_dir():
            raise WriteError(f"{folder} exists and is not a folder", hint="choose another -o")
        if (target / READY).is_dir():
            return  # an interrupted command's; the next one repairs before it looks
        _check(target, folder, command, force)
    except OSError as error:
        raise WriteError(f"cannot write {folder}: {error.strerror or error}") from error


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Read a result's files while nobody replaces them; an interrupted replacement is finished.

    Raises:
        WriteError: one was interrupted and cannot be finished here.
    """
    if (folder / READY).is_dir():
        try:
            with _held(folder):
                pass
        except OSError as error:
            raise WriteError(
                f"{folder} was left half-written and cannot be repaired: {error.strerror}",
                hint="run the command that wrote it again",
            ) from error
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # no locks on this file system
            stack.enter_context(locked(folder, f"the writing of {folder}", shared=True))
        yield


@contextlib.contextmanager
def _held(target: Path) -> Iterator[None]:
    """The lock of a folder in which no replacement is half done."""
    while True:
        with locked(target, f"the writing of {target}"):
            if not target.is_dir():  # removed by whoever we waited for
                target.mkdir(parents=True, exist_ok=True)
                continue
            shutil.rmtree(target / STAGED, ignore_errors=True)
            if (target / READY).is_dir():
                _move_into_place(target)
            yield
            return


def _write(
    target: Path, folder: Path, write: Callable[[Path], object], command: str, force: bool
) -> None:
    known = _check(target, folder, command, force)
    staged = target / STAGED
    staged.mkdir()
    try:
        write(staged)
        files = {name: _digest(staged / name) for name in _files(staged)}
        _check_collisions(target, staged, folder, files, known, force)
        text = json.dumps({"command": command, "files": files}, indent=1) + "\n"
        (staged / MANIFEST).write_text(text, encoding="utf-8")
        os.rename(staged, target / READY)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    _move_into_place(target)


def _check(target: Path, folder: Path, command: str, force: bool) -> Mapping[str, str]:
    """The files of the earlier result by `command`; WriteError as `check_folder`."""
    manifest = _read_manifest(target)
    if manifest is not None and manifest.command == command:
        changed = [
            name for name, digest in manifest.files.items() if _changed(target / name, digest)
        ]
        if changed and not force:
            raise WriteError(
                f"{_named(changed)} in {folder} changed since this command wrote it",
                hint="move it away, choose another -o, or replace it with --force",
            )
        return manifest.files
    foreign = [path for path in target.iterdir() if path.name not in (STAGED, READY)]
    if foreign and not force:
        whose = "" if manifest is None else f" but of penstock {manifest.command}"
        raise WriteError(
            f"{folder} exists and is not the output of this command{whose}",
            hint="choose another -o, or --force: files of other names stay",
        )
    return {}


def _check_collisions(
    target: Path,
    staged: Path,
    folder: Path,
    files: Mapping[str, str],
    known: Mapping[str, str],
    force: bool,
) -> None:
    """WriteError if a new file would take the place of one that is not the command's own."""
    taken = [
        name
        for name, digest in files.items()
        if name not in known and _changed(target / name, digest)
    ]
    made = [path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_dir()]
    swapped = [name for name in files if (target / name).is_dir()]
    swapped += [n for n in made if os.path.lexists(target / n) and not (target / n).is_dir()]
    if swapped:
        raise WriteError(
            f"{_named(swapped)} in {folder} is a file where a folder goes, or a folder for a file",
            hint="move it away or choose another -o",
        )
    if taken and not force:
        raise WriteError(
            f"{_named(taken)} in {folder} was not written by this command",
            hint="move it away, choose another -o, or replace it with --force",
        )


def _move_into_place(target: Path) -> None:
    """Move what READY holds to where it belongs; done twice, or from the middle, it is the same."""
    ready = target / READY
    new, old = _read_manifest(ready), _read_manifest(target)
    if new is not None:
        for folder in sorted(path for path in ready.rglob("*") if path.is_dir()):
            (target / folder.relative_to(ready)).mkdir(exist_ok=True)
        for name in _files(ready):
            os.replace(ready / name, target / name)
        if old is not None and old.command == new.command:
            for name in old.files.keys() - new.files.keys():
                if not _changed(target / name, old.files[name]):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(target / name)
        os.replace(ready / MANIFEST, target / MANIFEST)
    shutil.rmtree(ready)


def _read_manifest(folder: Path) -> _Manifest | None:
    """The manifest in `folder`; None if there is none, or something else of that name."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        command, files = data["command"], data["files"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(command, str) or not isinstance(files, dict):
        return None
    for name, digest in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not isinstance(digest, str):
            return None
    return _Manifest(command, files)


def _files(folder: Path) -> list[str]:
    """Every file below `folder` but its manifest, as relative POSIX paths, sorted."""
    found = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if name != MANIFEST)


def _changed(path: Path, digest: str) -> bool:
    """Whether something other than the file of this digest is at `path`."""
    if not os.path.lexists(path):
        return False
    return path.is_symlink() or not path.is_file() or _digest(path) != digest


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(sorted(names)[:_SHOWN]) + more

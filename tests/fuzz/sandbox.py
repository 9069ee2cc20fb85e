"""Reading damaged files in a process of its own: bounded memory and time, every open watched.

A file must be accepted or refused with a PenstockError, in one line.  Everything else has a name
here: another exception, a crash, a hang, an allocation beyond the limit, a file opened elsewhere.
"""

import contextlib
import dataclasses
import multiprocessing
import resource
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from penstock.compiler.api import compile_onnx
from penstock.program.base.errors import PenstockError
from penstock.program.core.config import get_config

#: Address space beyond what the loaded libraries take, and seconds for one file.
MEMORY = 1 << 30
SECONDS = 20.0

GOOD = ("accepted", "refused")


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """`kind` is one of GOOD or a defect; `text` the message, or what led to the defect."""

    kind: str
    text: str = ""

    @property
    def good(self) -> bool:
        return self.kind in GOOD


def compile_file(path: Path) -> None:
    """An ONNX file through the whole compiler."""
    compile_onnx(path, get_config("tiny"))


class Sandbox:
    """One worker; a crashed or hung one is replaced.  A context manager."""

    def __init__(self, read: Callable[[Path], None] = compile_file) -> None:
        self.read = read
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        self._pipe, there = self._context.Pipe()
        arguments = (there, self.read)
        self._process = self._context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        there.close()
        self._pipe.recv()  # its imports take longer than a file may

    def try_file(self, path: Path) -> Verdict:
        """What reading `path` leads to."""
        self._pipe.send(path)
        verdict = Verdict("hang", f"no answer in {SECONDS} s")
        try:
            if self._pipe.poll(SECONDS):
                return Verdict(*self._pipe.recv())
        except EOFError:
            self._process.join()
            verdict = Verdict("crash", f"exit code {self._process.exitcode}")
        self._process.kill()
        self._process.join()
        self._start()
        return verdict


def _work(pipe: Connection, read: Callable[[Path], None]) -> None:
    """The worker: a path in, (kind, text) out."""
    opened: list[str] = []
    sys.addaudithook(lambda event, args: _note(opened, event, args))
    with contextlib.suppress(Exception):
        read(Path("no such file"))  # whatever it imports late
    limit = _address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send("ready")
    while True:
        path = pipe.recv()
        opened.clear()
        verdict = _judge(read, path)
        elsewhere = [name for name in opened if not _allowed(name, path.parent)]
        pipe.send(("opened elsewhere", ", ".join(elsewhere)) if elsewhere else verdict)


def _judge(read: Callable[[Path], None], path: Path) -> tuple[str, str]:
    try:
        read(path)
    except PenstockError as error:
        text = str(error)
        return ("refused", text) if "\n" not in text else ("several lines", text)
    except MemoryError:
        return "allocation", traceback.format_exc()
    except BaseException:
        return "traceback", traceback.format_exc()
    return "accepted", ""


def _note(opened: list[str], event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], (str, bytes)):
        opened.append(args[0] if isinstance(args[0], str) else args[0].decode(errors="replace"))


def _allowed(name: str, folder: Path) -> bool:
    """In the model's folder (links followed), or code of Python's own."""
    path = Path(name).resolve()
    return path.is_relative_to(folder.resolve()) or path.suffix in (".py", ".pyc", ".so")


def _address_space() -> int:
    """Bytes of this process's address space."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()

"""Built libraries: only what was built is loaded, anywhere, and waiting is explained."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.program.base.errors import PenstockError
from penstock.program.core.config import get_config
from penstock.sim import cache, sources
from penstock.sim.csim.build import build_csim
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.build import build_library

ECHO = Path(__file__).parent / "rtl" / "echo_top.sv"


class Builder:
    """Builds a small library with the real compiler, and counts how often."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self, work: Path) -> None:
        self.built += 1
        (work / "one.c").write_text("int one(void) { return 1; }\n")
        command = ["gcc", "-shared", "-fPIC", str(work / "one.c"), "-o", str(work / "one.so")]
        subprocess.run(command, check=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage" * 3000),
        lambda path: path.write_bytes(
            # e_machine of the ELF header: another processor's
            path.read_bytes()[:18] + b"\xf3\x00" + path.read_bytes()[20:]
        ),
        lambda path: path.unlink(),
        lambda path: path.with_name("one.so.sha256").unlink(),
        lambda path: path.with_name("one.so.sha256").write_bytes(b"\xff"),
        lambda path: path.with_name("one.so.sha256").write_bytes(b""),
    ],
)
def test_a_damaged_library_is_built_again(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    build = Builder()
    path = cache.build_once(tmp_path / "lib-1", "one.so", build)
    assert cache.build_once(tmp_path / "lib-1", "one.so", build) == path
    assert build.built == 1
    damage(path)
    assert cache.load_library(cache.build_once(tmp_path / "lib-1", "one.so", build)).one() == 1
    assert build.built == 2
    names = {entry.name for entry in (tmp_path / "lib-1").iterdir()}
    assert names == {"one.so", "one.so.sha256"}


def test_what_the_linker_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_bytes(b"no library")
    with pytest.raises(PenstockError, match=r"cannot be loaded: .*; remove "):
        cache.load_library(tmp_path / "x.so")


WAIT = (
    "import sys; from pathlib import Path; from penstock.program.base.locks import locked\n"
    "with locked(Path(sys.argv[1]), 'the build of tiny'): print('held', flush=True);"
    " sys.stdin.readline()"
)


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_who_waits_is_told_for_whom(tmp_path: Path, kind: str, stopped: bool) -> None:
    lock = tmp_path / "x.lock" if kind == "file" else tmp_path
    command = [sys.executable, "-c", WAIT, str(lock)]
    pipe = subprocess.PIPE
    holder = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    if stopped:
        holder.send_signal(signal.SIGSTOP)
    waiting = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert waiting.stderr is not None
    started = time.monotonic()
    said = waiting.stderr.readline()
    assert time.monotonic() - started < 10
    assert f"waiting for the build of tiny: process {holder.pid} holds the lock" in said
    assert ("is stopped (kill -CONT" in said) == stopped
    assert waiting.poll() is None  # it goes on waiting
    holder.send_signal(signal.SIGCONT)
    holder.communicate("\n", timeout=30)
    out, _ = waiting.communicate("\n", timeout=30)
    assert (out, waiting.returncode) == ("held\n", 0)


#: Prints the folder of builds, as a user who has no entry in the password file and no home.
ROOT = """
import os, sys, tempfile
from pathlib import Path
from penstock.sim import sources
sources.RTL = Path(sys.argv[1]) / "rtl"
os.umask(0o022)
os.setgid(54321); os.setuid(54321)
try:
    print(sources.build_root())
except Exception as error:
    print(f"error: {error}")
"""


def root_of(checkout: Path, **environment: str) -> str:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    env = {"PATH": os.environ["PATH"], **environment}
    command = [sys.executable, "-c", ROOT, str(checkout)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def places() -> Iterator[Path]:
    """Folders for a user of another uid: a checkout of root's, and ones that anybody may write.

    Not in pytest's own folder, which is its user's alone.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "checkout").mkdir()
        (root / "checkout" / "pyproject.toml").touch()
        for open_to_all in ("tmp", "xdg", "home", "mine"):
            (root / open_to_all).mkdir()
            (root / open_to_all).chmod(0o777)
        yield root


def test_where_builds_are_kept(places: Path) -> None:
    checkout, tmp = places / "checkout", str(places / "tmp")
    private = f"{tmp}/penstock-54321"
    for home in ({}, {"HOME": "/"}, {"HOME": ""}, {"HOME": "/nonexistent"}, {"HOME": "relative"}):
        assert root_of(checkout, TMPDIR=tmp, **home) == private, home
    xdg, home_folder = str(places / "xdg"), str(places / "home")
    assert root_of(checkout, TMPDIR=tmp, XDG_CACHE_HOME=xdg) == f"{xdg}/penstock"
    assert root_of(checkout, HOME=home_folder) == f"{home_folder}/.cache/penstock"
    mine = str(places / "mine")
    assert root_of(checkout, HOME=home_folder, PENSTOCK_CACHE_DIR=mine) == mine
    (checkout / "build").mkdir()
    (checkout / "build").chmod(0o777)
    assert root_of(checkout, HOME=home_folder) == str(checkout / "build")


def test_where_builds_cannot_be_kept(places: Path) -> None:
    checkout = places / "checkout"
    said = root_of(checkout, PENSTOCK_CACHE_DIR=str(checkout))
    assert said == f"error: PENSTOCK_CACHE_DIR is {checkout}, where nothing can be written"
    planted = places / "tmp" / "penstock-54321"  # somebody else's: a library in it would be loaded
    planted.mkdir(mode=0o777)
    planted.chmod(0o777)
    said = root_of(checkout, TMPDIR=str(places / "tmp"))
    assert said.startswith("error: there is no folder to keep the built simulations in")
    assert said.endswith("set PENSTOCK_CACHE_DIR to a folder")


@pytest.mark.long
def test_blanks_and_brackets_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of builds, of the sources, of the harnesses, and of Verilator itself."""
    odd = tmp_path / "a b [c] $d 'e"
    odd.mkdir()
    monkeypatch.setenv("PENSTOCK_CACHE_DIR", str(odd / "cache"))
    from penstock.program.base.optional import locate
    from penstock.sim.rtl import build

    shutil.copytree(locate("verilator"), odd / "verilator")
    monkeypatch.setattr(build, "locate", lambda _: odd / "verilator")
    monkeypatch.setattr("penstock.sim.sources.locate", lambda _: odd / "verilator")
    (odd / "sim").mkdir()
    harness = Path(shutil.copy(build.HARNESS, odd / "sim"))
    monkeypatch.setattr(build, "HARNESS", harness)
    files = [Path(shutil.copy(path, odd)) for path in [*sources.rtl_sources("tiny"), ECHO]]
    library = build_library("echo", files, top="echo_top")
    assert library.is_relative_to(odd / "cache")
    cache.load_library(library)
    assert build_csim(get_config("tiny")).is_relative_to(odd / "cache")
    CsimCore("tiny")
    assert sources.build_root() == odd / "cache"


def test_a_failed_build_says_one_line_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.sim.rtl.build import SimulationError

    monkeypatch.setenv("PENSTOCK_CACHE_DIR", str(tmp_path))
    bad = tmp_path / "bad.sv"
    lines = [f"  nothing_{index}_{'y' * 200} u_{index} ();\n" for index in range(60)]
    bad.write_text("".join(["module bad;\n", *lines, "endmodule\n"]))
    with pytest.raises(SimulationError) as caught:
        build_library("bad", [bad], top="bad")
    message = str(caught.value)
    assert "Verilator could not build bad-" in message
    assert "%Error" in message
    assert len(message) < 700
    log = Path(message.rpartition("all of it is in ")[2])
    assert len(log.read_text()) > 5000

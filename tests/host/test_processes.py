"""Two processes and one board: the second is told, whatever becomes of the first."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.host import CoreBusyError, PenstockOverlay
from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore, SimulatedBoard, install, write_design

Opener = Callable[..., Any]

#: Opens an overlay on the board of that name, says so, and goes on until it is told to end.
HOLDER = """
import sys
from penstock.host import PenstockOverlay
from penstock.sim.board import ScriptedCore, SimulatedBoard, install

bit, architecture, name = sys.argv[1:]
install(SimulatedBoard(ScriptedCore(), architecture=architecture, name=name))
overlay = PenstockOverlay(bit)
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def name(tmp_path: Path) -> str:
    return f"test board of {os.getpid()} {tmp_path.name}"


@pytest.fixture
def bit(tmp_path: Path, board: str, name: str, package: Package) -> Path:
    install(SimulatedBoard(ScriptedCore(), architecture=board, name=name))
    return write_design(tmp_path, architecture=board, config_hash=package.config_hash)


@pytest.fixture
def holder(bit: Path, board: str, name: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the board."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, bit, board, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("ending", ["exit", "kill"])
def test_the_second_process_is_told(
    holder: "subprocess.Popen[str]", bit: Path, package: Package, vectors: Any, ending: str
) -> None:
    for download in (True, False):
        with pytest.raises(CoreBusyError, match=rf"process {holder.pid} uses the core"):
            PenstockOverlay(bit, download=download)
    if ending == "kill":
        holder.send_signal(signal.SIGKILL)
    holder.communicate("\n", timeout=30)
    PenstockOverlay(bit).load(package)(vectors.images[:2])


def test_free_lets_another_process_in(bit: Path, board: str, name: str) -> None:
    first, second = PenstockOverlay(bit), PenstockOverlay(bit)

    def other() -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", HOLDER, str(bit), board, name]
        return subprocess.run(command, input="\n", capture_output=True, text=True, timeout=60)

    assert "CoreBusyError" in other().stderr
    first.free()
    assert "CoreBusyError" in other().stderr  # the second has it still
    second.free()
    done = other()
    assert done.returncode == 0, done.stderr
    first.download()
    assert "CoreBusyError" in other().stderr


def test_a_fork_has_not_got_the_board(open_overlay: Opener, package: Package, vectors: Any) -> None:
    """multiprocessing's children on Linux: an error there, and the parent goes on."""
    overlay = open_overlay(ScriptedCore())
    net = overlay.load(package)
    attempts: list[Callable[[], Any]] = [
        lambda: net(vectors.images[:1]),
        lambda: overlay.load(package),
        overlay.download,
        lambda: net.set_thresholds(),
        lambda: PenstockOverlay(overlay.bitfile_name),
        overlay.free,
    ]
    with overlay.board.lock:  # as if another thread of the parent ran a network now
        child = os.fork()
        if not child:
            os._exit(_refusals(attempts, net))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(attempts)
    assert Path(overlay.board.claim.path).read_text() == f"{os.getpid()}\n"
    net(vectors.images[:2])
    net.close()
    assert overlay.device.memory.used == 0


def _refusals(attempts: list[Callable[[], Any]], net: Any) -> int:
    refused = 0
    for attempt in attempts:
        try:
            attempt()
        except CoreBusyError:
            refused += 1
        except BaseException:
            return 100 + refused
    net.close()  # leaves the parent's memory alone
    net._overlay._release()  # as at the end of a child that exits in the ordinary way
    return refused

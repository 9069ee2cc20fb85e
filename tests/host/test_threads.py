"""Threads, event loops and Ctrl-C: every call has its own results, or an error of its own."""

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import numpy as np
import pytest

from penstock.host import CoreBusyError, PenstockIP, PenstockOverlay
from penstock.host.vectors import Vectors
from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore, SimulatedBoard, install, write_design

Opener = Callable[..., Any]
Families = dict[str, tuple[Package, Vectors]]
BOTH = pytest.mark.parametrize("interrupt", [True, False], ids=["interrupt", "polling"])
THREADS, TURNS = 4, 6


def some(vectors: Vectors, turn: int) -> Vectors:
    """A few images of their own for each turn, with what must come out."""
    order = np.random.default_rng(turn).permutation(len(vectors))[: 1 + turn % 3]
    return Vectors(vectors.images[order], vectors.labels[order], vectors.results[order])


def work(nets: dict[str, Any], families: Families, seed: int) -> int:
    """Call networks in an order of this thread's own; how many bytes were wrong."""
    wrong, order = 0, np.random.default_rng(seed)
    for turn in range(TURNS):
        name = str(order.choice(sorted(nets)))
        given = some(families[name][1], 10 * seed + turn)
        records = nets[name].run(given.images)
        wrong += int(given.differing(records).sum())
        wrong += int(given.differing(nets[name].trace.records).sum())
    return wrong


@pytest.fixture
def nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling while there is an interrupt fails the test."""

    def poll(self: PenstockIP, *arguments: Any) -> None:
        raise AssertionError("polled")

    monkeypatch.setattr(PenstockIP, "_poll", poll)


@BOTH
@pytest.mark.parametrize("overlays", [1, 2])
def test_threads_and_networks(
    open_overlay: Opener,
    csim_core: Any,
    families: Families,
    architecture: str,
    interrupt: bool,
    overlays: int,
) -> None:
    """Every thread calls every network; of two overlays each has half of them."""
    first = open_overlay(csim_core, architecture=architecture, interrupt=interrupt)
    opened = [first] + [PenstockOverlay(first.bitfile_name) for _ in range(overlays - 1)]
    csim_core.delay = 5000  # longer than a look, so that runs would meet
    nets = {
        name: opened[index % overlays].load(package, batch=2)
        for index, (name, (package, _)) in enumerate(families.items())
    }
    with ThreadPoolExecutor(THREADS) as pool:
        wrong = list(pool.map(lambda seed: work(nets, families, seed), range(THREADS)))
    assert wrong == [0] * THREADS
    for net in nets.values():
        net.close()
    assert first.device.memory.used == 0


@BOTH
def test_threads_on_the_rtl(
    open_overlay: Opener, rtl_core: Any, families: Families, interrupt: bool
) -> None:
    overlay = open_overlay(rtl_core, interrupt=interrupt)
    nets = {name: overlay.load(families[name][0], batch=2) for name in ("lc", "acs", "exits")}
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda seed: work(nets, families, seed), range(3))) == [0] * 3
    assert rtl_core.bad_accesses == 0


@BOTH
def test_one_network_in_many_threads(
    open_overlay: Opener, csim_core: Any, package: Package, vectors: Vectors, interrupt: bool
) -> None:
    net = open_overlay(csim_core, interrupt=interrupt).load(package, batch=3)
    csim_core.delay = 3000
    families = {"net": (package, vectors)}
    with ThreadPoolExecutor(THREADS) as pool:
        wrong = pool.map(lambda seed: work({"net": net}, families, seed), range(THREADS))
        assert list(wrong) == [0] * THREADS


@pytest.mark.usefixtures("nobody_polls")
def test_interrupt_in_a_worker_thread(
    open_overlay: Opener, csim_core: Any, package: Package, vectors: Vectors
) -> None:
    """Opened, loaded and called where there is no event loop."""
    csim_core.delay = 100_000

    def all_of_it() -> int:
        with open_overlay(csim_core).load(package) as net:
            return int(vectors.differing(net.run(vectors.images)).sum())

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(all_of_it).result(60) == 0


@pytest.mark.usefixtures("nobody_polls")
def test_interrupt_in_a_running_event_loop(
    open_overlay: Opener, csim_core: Any, package: Package, vectors: Vectors
) -> None:
    """As in a notebook's cell; and from a thread that the loop waits for."""
    net = open_overlay(csim_core).load(package)
    csim_core.delay = 100_000

    async def cell() -> list[Any]:
        here = net.run(vectors.images)
        return [here, await asyncio.to_thread(net.run, vectors.images)]

    for records in asyncio.run(cell()):
        assert vectors.differing(records).sum() == 0


def test_pynqs_own_interrupt_works_on_the_board(open_overlay: Opener) -> None:
    """Another IP's driver may wait in PYNQ's way for what comes through the same controller."""
    from pynq import Interrupt

    overlay = open_overlay(ScriptedCore())
    core = overlay.core

    async def wait() -> None:
        interrupt = Interrupt("penstock_0/interrupt")
        core.write(0x04, 1)
        core.write(0x08, 1)
        core.write(0x00, 1)
        await asyncio.wait_for(interrupt.wait(), 5)

    asyncio.run(wait())


@BOTH
def test_boards_do_not_wait_for_each_other(
    tmp_path: Any, package: Package, interrupt: bool
) -> None:
    """A core that hangs keeps its own callers waiting, and nobody else's."""
    hanging, good = ScriptedCore(), ScriptedCore()
    nets = []
    for name, core in (("one", hanging), ("two", good)):
        board = SimulatedBoard(core, architecture="aarch64")
        bit = write_design(tmp_path, name, architecture="aarch64", interrupt=interrupt)
        install(board)
        nets.append(PenstockOverlay(bit, device=board).load(package, timeout=3))
    hanging.hang = True
    image = np.zeros((1, *package.meta["input"]["shape"]), np.float32)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(nets[0], image)
        while not hanging.runs:
            time.sleep(0.001)
        started = time.monotonic()
        nets[1](image)
        assert time.monotonic() - started < 1
        assert not slow.done()
        assert slow.exception(20) is not None


@pytest.fixture
def interrupted_after() -> Iterator[Callable[[float], None]]:
    """interrupted_after(seconds): Ctrl-C comes then."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)  # type: ignore[misc]
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


@BOTH
def test_ctrl_c_at_any_moment(
    open_overlay: Opener,
    csim_core: Any,
    families: Families,
    interrupt: bool,
    interrupted_after: Callable[[float], None],
) -> None:
    """Wherever it comes, the next call of whatever network is right, and memory can be freed."""
    overlay = open_overlay(csim_core, interrupt=interrupt)
    csim_core.delay = 4000
    nets = {name: overlay.load(families[name][0], batch=2) for name in ("lc", "moe", "stages")}
    names, random, broken = sorted(nets), np.random.default_rng(), 0
    for turn in range(300):
        name, other = random.choice(names), random.choice(names)
        given = some(families[name][1], turn)
        try:
            interrupted_after(float(random.uniform(1e-5, 5e-3)))
            nets[name].run(given.images)
            interrupted_after(0)
        except KeyboardInterrupt:
            broken += 1
        given = some(families[other][1], turn + 1)
        assert given.differing(nets[other].run(given.images)).sum() == 0, turn
    assert broken > 30
    for net in nets.values():
        net.close()
    del net, nets
    gc.collect()
    assert overlay.device.memory.used == 0


def test_a_call_from_within_a_call(
    open_overlay: Opener, package: Package, vectors: Vectors, interrupted_after: Any
) -> None:
    """A signal handler cannot run the network that it interrupts; closing it waits for the end."""
    core = ScriptedCore()
    net = open_overlay(core, interrupt=False).load(package)
    core.delay = 400_000
    caught: list[BaseException] = []

    def handler(number: int, frame: FrameType | None) -> None:
        try:
            net(vectors.images[:1])
        except CoreBusyError as error:
            caught.append(error)
        net.close()

    signal.signal(signal.SIGALRM, handler)
    interrupted_after(0.003)
    while not caught:
        assert net.run(vectors.images[:4]).shape[0] == 4
    assert "in the middle of a run" in str(caught[0])
    assert net._overlay.device.memory.used == 0


def test_closing_in_another_thread_waits(
    open_overlay: Opener, csim_core: Any, package: Package, vectors: Vectors
) -> None:
    net = open_overlay(csim_core).load(package, batch=4)
    csim_core.delay = 50_000
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(net.run, vectors.images)
        while not csim_core.runs:
            time.sleep(0.001)
        net.close()
        assert vectors.differing(running.result(60)).sum() == 0
    assert net._overlay.device.memory.used == 0


def test_garbage_while_another_runs(
    open_overlay: Opener, csim_core: Any, families: Families
) -> None:
    """Networks nobody closes are collected in the middle of others' runs."""
    overlay = open_overlay(csim_core)
    csim_core.delay = 2000
    stop = threading.Event()

    def litter() -> None:
        while not stop.is_set():
            for name in ("acs", "iadi"):
                overlay.load(families[name][0], batch=1)
            gc.collect()

    with ThreadPoolExecutor(1) as pool:
        littering = pool.submit(litter)
        net = overlay.load(families["lc"][0])
        try:
            for turn in range(40):
                given = some(families["lc"][1], turn)
                assert given.differing(net.run(given.images)).sum() == 0
        finally:
            stop.set()
        littering.result(30)

"""The unmodified driver on the Verilated core: every byte is the golden engine's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.host import ConfigurationError, CoreError, CoreTimeoutError, Network
from penstock.program.core.registers import ErrorCode
from penstock.program.network.package import Package

Opener = Callable[..., Any]


@pytest.mark.parametrize("interrupt", [True, False], ids=["interrupt", "polling"])
def test_100_images_equal_golden(
    open_overlay: Opener,
    rtl_core: Any,
    package: Package,
    vectors: Any,
    architecture: str,
    interrupt: bool,
) -> None:
    overlay = open_overlay(rtl_core, architecture=architecture, interrupt=interrupt)
    assert (overlay.core.interrupt is not None) == interrupt
    with overlay.load(package) as net:
        logits = net(vectors.images)
        assert len(vectors) == 100
        assert vectors.differing(net.trace.records).sum() == 0
        assert rtl_core.bad_accesses == 0
        assert (logits.argmax(axis=1) == vectors.labels).mean() > 0.9
        assert (net.trace.cycles > 0).all()
        assert net.trace.channels_skipped.sum() > 0
    assert overlay.device.memory.used == 0


def test_the_packed_core(open_overlay: Opener, package: Package, repository: Path) -> None:
    """z7020x2 from the deployed folder to the results, and no other core's program on it."""
    from penstock.host.vectors import Vectors
    from penstock.sim.rtl.bus import RtlBus

    folder = repository / "build" / "host" / "z7020x2"
    if not (folder / "net.pspkg").is_file():
        pytest.fail("build/host/z7020x2 is missing: run `make test-host`")
    packed, vectors = Package.load(folder / "net.pspkg"), Vectors.load(folder / "vectors.npz")
    overlay = open_overlay(RtlBus("z7020x2"), config_hash=packed.config_hash)
    with overlay.load(packed, batch=8) as net:
        net(vectors.images[:20])
        assert vectors.differing(net.trace.records).sum() == 0
        assert net.trace.channels_skipped.sum() > 0
    with pytest.raises(ConfigurationError):
        overlay.load(package)


@pytest.mark.parametrize("mhz", [100, 125, 250])
def test_the_overlay_sets_the_clock_of_the_design(
    open_overlay: Opener, rtl_core: Any, architecture: str, mhz: int
) -> None:
    """The clock goes with the bitstream: PYNQ divides its PLL as the .hwh says."""
    import pynq

    if architecture == "aarch64" and mhz == 125:
        mhz = 150
    open_overlay(rtl_core, architecture=architecture, clock_mhz=mhz)
    assert pynq.Clocks.fclk0_mhz == pytest.approx(mhz, rel=1e-3)


@pytest.mark.parametrize("batch, images", [(1, 3), (4, 3), (4, 4), (4, 5), (4, 9)])
def test_batches_of_any_size(
    open_overlay: Opener, rtl_core: Any, package: Package, vectors: Any, batch: int, images: int
) -> None:
    with open_overlay(rtl_core).load(package, batch=batch) as net:
        net(vectors.images[:images])
        assert vectors.differing(net.trace.records).sum() == 0
        net(vectors.images[:1])  # and again, with what is left in the buffers
        assert vectors.differing(net.trace.records).sum() == 0


def test_codes_are_taken_as_they_are(
    open_overlay: Opener, rtl_core: Any, package: Package, vectors: Any
) -> None:
    with open_overlay(rtl_core).load(package) as net:
        codes = np.zeros((5, *net.meta["input"]["shape"]), np.int8)
        net._codec.encode(net._codec.check(vectors.images[:5]), codes.reshape(5, -1))
        net(codes)
        assert vectors.differing(net.trace.records).sum() == 0


def test_uncached_buffers(
    open_overlay: Opener, rtl_core: Any, package: Package, vectors: Any
) -> None:
    from penstock.sim.board.memory import SimulatedMemory

    memory = SimulatedMemory()
    memory.cacheable = False
    with open_overlay(rtl_core, memory=memory).load(package) as net:
        net(vectors.images[:4])
        assert vectors.differing(net.trace.records).sum() == 0


@pytest.mark.parametrize("operation", ["flush", "invalidate"])
def test_the_board_notices_a_driver_without(
    operation: str,
    open_overlay: Opener,
    rtl_core: Any,
    package: Package,
    vectors: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mutation: the simulated caches are real enough to fail a driver that forgets them."""
    from pynq.buffer import PynqBuffer

    net: Network = open_overlay(rtl_core).load(package)
    monkeypatch.setattr(PynqBuffer, operation, lambda self: None)
    records = net.run(vectors.images[:4])
    assert vectors.differing(records).sum() > 0


def test_the_core_refuses_a_program_for_another_configuration(
    open_overlay: Opener, rtl_core: Any, package: Package, vectors: Any
) -> None:
    """The .hwh does not tell: the core's own check."""
    import dataclasses

    overlay = open_overlay(rtl_core, config_hash=None)
    wrong = dataclasses.replace(package, config_hash=package.config_hash ^ 1)
    with overlay.load(wrong) as net, pytest.raises(ConfigurationError, match=r"configuration"):
        net(vectors.images[:1])
    with overlay.load(package) as net:
        net(vectors.images[:4])
        assert vectors.differing(net.trace.records).sum() == 0


def test_the_core_stops_at_a_program_without_halt(
    open_overlay: Opener, rtl_core: Any, package: Package, vectors: Any
) -> None:
    import dataclasses

    overlay = open_overlay(rtl_core)
    short = dataclasses.replace(package, descriptors=package.descriptors[: 3 * 64])
    with overlay.load(short) as net:
        with pytest.raises(CoreError, match=r"PROGRAM_END.*without HALT.*image 0") as caught:
            net(vectors.images[:1])
        assert caught.value.code == ErrorCode.PROGRAM_END
    with overlay.load(package) as net:
        net(vectors.images[:4])
        assert vectors.differing(net.trace.records).sum() == 0


def test_a_core_that_hangs_is_loaded_again(
    open_overlay: Opener,
    rtl_core: Any,
    package: Package,
    vectors: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overlay = open_overlay(rtl_core, interrupt=False)
    with overlay.load(package, timeout=0.05) as net:
        with monkeypatch.context() as stopped:
            stopped.setattr(rtl_core, "advance", lambda cycles: False)
            with pytest.raises(CoreTimeoutError, match=r"not done after 0.05 s, at running at"):
                net(vectors.images)
        assert overlay.device.downloads == 2
        net.timeout = 10.0
        net(vectors.images[:4])
        assert vectors.differing(net.trace.records).sum() == 0

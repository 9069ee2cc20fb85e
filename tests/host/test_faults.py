"""Each fault has its own error and message, and the next run works."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.host import (
    AddressError,
    BufferExhaustedError,
    ClosedError,
    ConfigurationError,
    CoreError,
    CoreTimeoutError,
    HostError,
    InterruptMissingError,
    OverlayError,
    PenstockOverlay,
)
from penstock.host.ip import ARGUMENTS
from penstock.program.core.registers import BASES, ErrorCode, Position
from penstock.program.network.package import Package, PackageError
from penstock.sim.board import ScriptedCore
from penstock.sim.board.memory import SimulatedMemory

Opener = Callable[..., Any]


@pytest.fixture
def core() -> ScriptedCore:
    return ScriptedCore()


@pytest.fixture
def images(vectors: Any) -> Any:
    return vectors.images[:4]


@pytest.mark.parametrize("interrupt", [True, False], ids=["interrupt", "polling"])
def test_core_never_done(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any, interrupt: bool
) -> None:
    overlay = open_overlay(core, interrupt=interrupt)
    net = overlay.load(package, timeout=0.02)
    core.hang, core.position = True, Position(66_000, 70_007)
    with pytest.raises(
        CoreTimeoutError,
        match=r"not done after 0.02 s, at running at image 66000, descriptor 70007, error 0",
    ):
        net(images)
    core.hang = False
    assert net(images).shape == (4, 10)
    assert overlay.device.downloads == 2


@pytest.mark.parametrize("name", BASES)
def test_a_buffer_begins_with_a_whole_beat(
    open_overlay: Opener, core: ScriptedCore, package: Package, name: str
) -> None:
    """Refused by name before anything is started; the other arguments are a network's."""
    ip = open_overlay(core).core
    values = dict.fromkeys(ARGUMENTS, 8) | {name: 0x1000_0004}
    with pytest.raises(AddressError, match=f"'{name}' begins at 0x10000004, which is no multiple"):
        ip.start(values)
    assert core.runs == 0


@pytest.mark.parametrize("code", [c for c in ErrorCode if c not in (0, ErrorCode.CONFIG)])
def test_error_code(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any, code: ErrorCode
) -> None:
    net = open_overlay(core).load(package)
    core.error, core.position = int(code), Position(66_000, 5)
    with pytest.raises(
        CoreError, match=f"stopped with {code.name}: .*, at image 66000, descriptor 5"
    ):
        net(images)
    core.error = 0
    net(images)


def test_unknown_error_code(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any
) -> None:
    net = open_overlay(core).load(package)
    core.error = 99
    with pytest.raises(CoreError, match=r"code 99: a code this release does not know"):
        net(images)


def test_wrong_hash_in_the_hwh(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any
) -> None:
    overlay = open_overlay(core, config_hash=0x1234)
    with pytest.raises(ConfigurationError, match=r"bitstream is configuration 0x00001234"):
        overlay.load(package)
    assert core.runs == 0
    assert overlay.device.memory.used == 0
    open_overlay(core).load(package)(images)


def test_wrong_hash_found_by_the_core(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any
) -> None:
    net = open_overlay(core, config_hash=None).load(package)
    core.error = int(ErrorCode.CONFIG)
    with pytest.raises(ConfigurationError, match=r"another hardware configuration"):
        net(images)
    core.error = 0
    net(images)


@pytest.mark.parametrize("cut", [10, 100, -1])
def test_truncated_package(
    open_overlay: Opener, core: ScriptedCore, bundle: Path, tmp_path: Path, cut: int, images: Any
) -> None:
    overlay = open_overlay(core)
    broken = tmp_path / "broken.pspkg"
    broken.write_bytes((bundle / "net.pspkg").read_bytes()[:cut])
    with pytest.raises(PackageError, match=r"broken\.pspkg: (not a Penstock|.*truncated)"):
        overlay.load(broken)
    overlay.load(bundle / "net.pspkg")(images)


def test_package_is_missing(open_overlay: Opener, core: ScriptedCore, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"No such file"):
        open_overlay(core).load(tmp_path / "no.pspkg")


def _edit_hwh(overlay: Any, old: str, new: str) -> Path:
    bit = Path(overlay.bitfile_name)
    hwh = bit.with_suffix(".hwh")
    text = hwh.read_text()
    assert old in text
    hwh.write_text(text.replace(old, new))
    return bit


def test_hwh_of_another_design(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any
) -> None:
    bit = _edit_hwh(open_overlay(core), "penstock.dev:core:penstock", "acme.com:ip:other")
    with pytest.raises(
        OverlayError, match=r"names 0 Penstock cores.*axi_intc_0.*penstock_0.*PL\.reset"
    ):
        PenstockOverlay(bit)
    open_overlay(core).load(package)(images)


def test_hwh_without_a_register(open_overlay: Opener, core: ScriptedCore, package: Package) -> None:
    bit = _edit_hwh(open_overlay(core), 'REGISTER NAME="n_images"', 'REGISTER NAME="other"')
    with pytest.raises(OverlayError, match=r"no register 'n_images'.*PL\.reset"):
        PenstockOverlay(bit).load(package)


def test_hwh_with_other_offsets(open_overlay: Opener, core: ScriptedCore, package: Package) -> None:
    bit = _edit_hwh(
        open_overlay(core), 'NAME="ADDRESS_OFFSET" VALUE="40"', 'NAME="ADDRESS_OFFSET" VALUE="44"'
    )
    with pytest.raises(OverlayError, match=r"'input_1'.* at 0x2c, this driver knows it at 0x28"):
        PenstockOverlay(bit).load(package)


def test_hwh_is_missing(open_overlay: Opener, core: ScriptedCore) -> None:
    bit = Path(open_overlay(core).bitfile_name)
    bit.with_suffix(".hwh").unlink()
    with pytest.raises(OverlayError, match=r"penstock\.hwh is missing"):
        PenstockOverlay(bit)


def test_hwh_is_damaged(open_overlay: Opener, core: ScriptedCore) -> None:
    bit = Path(open_overlay(core).bitfile_name)
    hwh = bit.with_suffix(".hwh")
    hwh.write_text(hwh.read_text()[:1000])
    with pytest.raises(OverlayError, match=r"penstock\.hwh cannot be read"):
        PenstockOverlay(bit)


def test_bitstream_is_missing(open_overlay: Opener, core: ScriptedCore, tmp_path: Path) -> None:
    open_overlay(core)
    with pytest.raises(OverlayError, match=r"none\.bit.*make bitstream"):
        PenstockOverlay(tmp_path / "none.bit")


@pytest.mark.parametrize("pages", range(6))
def test_memory_is_exhausted(
    open_overlay: Opener, core: ScriptedCore, package: Package, pages: int, images: Any
) -> None:
    """Wherever it happens, everything is given back."""
    needed = [-(-len(part) // 4096) for part in (package.descriptors, package.weights)] + [1] * 4
    memory = SimulatedMemory()
    taken = len(memory.dram) - 4096 * (sum(needed[: pages + 1]) - 1)
    other = memory.allocate((taken,), "u1", None)
    overlay = open_overlay(core, memory=memory)
    with pytest.raises(BufferExhaustedError, match=r"bytes of contiguous memory for .*batch"):
        overlay.load(package)
    assert memory.used == taken
    other.freebuffer()
    overlay.load(package)(images)


def test_a_closed_network_gives_its_memory_back(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any
) -> None:
    overlay = open_overlay(core, memory=SimulatedMemory(40 * 4096))
    for _ in range(5):
        net = overlay.load(package)
        net(images)
        net.close()
    with pytest.raises(ClosedError, match=r"closed"):
        net(images)


def test_interrupt_is_lost(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any
) -> None:
    overlay = open_overlay(core)
    net = overlay.load(package, timeout=0.05)
    core.delay = 10_000
    overlay.device.uio.lost = True
    with pytest.raises(InterruptMissingError, match=r"done, but no interrupt came within 0.05 s"):
        net(images)
    net(images)  # polls
    assert overlay.core.interrupt is None


def test_board_without_a_uio_device_polls(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any
) -> None:
    """The design has an interrupt, the kernel no device for it: PYNQ warns, the driver polls."""
    from pynq.interrupt import _InterruptController

    overlay = open_overlay(core)
    _InterruptController._uio_devices.clear()
    _InterruptController._controllers.clear()
    with pytest.warns(UserWarning, match=r"Interrupt interrupt not created"):
        assert overlay.core.interrupt is None
    overlay.load(package)(images)


@pytest.mark.parametrize("when", ["opened", "used"])
def test_a_uio_device_that_fails(
    open_overlay: Opener,
    core: ScriptedCore,
    package: Package,
    images: Any,
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The driver warns and polls: the run is as good as any."""
    from penstock.host.interrupt import InterruptLine

    def fails(*arguments: Any) -> None:
        raise OSError("Input/output error")

    net = open_overlay(core).load(package)
    core.delay = 10_000
    monkeypatch.setattr(InterruptLine, "__init__" if when == "opened" else "wait", fails)
    with pytest.warns(UserWarning, match=r"Input/output error.*; the driver polls"):
        net(images)
    net(images)


def test_not_root(
    open_overlay: Opener, core: ScriptedCore, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYNQ maps registers when they are first looked for."""

    def refuses(*arguments: Any, **options: Any) -> None:
        raise OSError("Root permissions required.")

    overlay = open_overlay(core)
    monkeypatch.setattr("pynq.overlay.MMIO", refuses)
    with pytest.raises(OverlayError, match=r"Root permissions required.*sudo"):
        overlay.load(package)


def test_no_device(
    open_overlay: Opener, core: ScriptedCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XRT's environment has not been sourced: PYNQ finds nothing."""
    from pynq.pl_server.device import DeviceMeta

    bit = open_overlay(core).bitfile_name

    def none(cls: type) -> None:
        raise RuntimeError("No Devices Found")

    monkeypatch.setattr(DeviceMeta, "active_device", property(none))
    with pytest.raises(OverlayError, match=r"No Devices Found; .*xrt_setup"):
        PenstockOverlay(bit)


def test_nothing_has_been_run(open_overlay: Opener, core: ScriptedCore, package: Package) -> None:
    net = open_overlay(core).load(package)
    with pytest.raises(HostError, match=r"nothing has been run yet"):
        _ = net.trace


def test_core_left_running_by_someone_else(
    open_overlay: Opener, core: ScriptedCore, package: Package, images: Any
) -> None:
    overlay = open_overlay(core)
    net = overlay.load(package)
    core.hang = True
    overlay.core.write(0, 1)
    with pytest.raises(CoreTimeoutError, match=r"still runs and cannot be started"):
        net(images)
    core.hang = False
    net(images)


def test_arguments_reach_the_core(open_overlay: Opener, package: Package, images: Any) -> None:
    """What the core is told is where things are: the program's and the weights' bytes."""
    seen: list[tuple[bytes, bytes]] = []

    def look(memory: Any, base: int, registers: dict[int, int]) -> None:
        def at(offset: int, size: int) -> bytes:
            start = (registers[offset] | registers[offset + 4] << 32) - base
            return bytes(memory[start : start + size])

        seen.append((at(0x10, len(package.descriptors)), at(0x1C, len(package.weights))))

    open_overlay(ScriptedCore(look)).load(package)(images)
    assert seen == [(package.descriptors, package.weights)]

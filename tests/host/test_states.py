"""What others do to the FPGA between two calls: right answers, or an error that says what to do."""

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynq import Overlay

from penstock.host import (
    ArgumentError,
    BufferExhaustedError,
    ClosedError,
    ConfigurationError,
    CoreTimeoutError,
    HostError,
    ImageError,
    OverlayError,
    PenstockOverlay,
)
from penstock.host.vectors import Vectors
from penstock.program.core.registers import ErrorCode
from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore, SimulatedBoard, install, write_design

Opener = Callable[..., Any]
Families = dict[str, tuple[Package, Vectors]]
BOTH = pytest.mark.parametrize("interrupt", [True, False], ids=["interrupt", "polling"])


class Pair:
    """Two networks, and whether they still answer right."""

    def __init__(self, families: Families, first: Any, second: Any) -> None:
        self.nets = [first.load(families["lc"][0]), second.load(families["moe"][0], batch=3)]
        self._vectors = [families["lc"][1], families["moe"][1]]

    def check(self, *which: int) -> None:
        for index in which or (0, 1, 0):
            records = self.nets[index].run(self._vectors[index].images)
            assert self._vectors[index].differing(records).sum() == 0, index


@BOTH
@pytest.mark.parametrize("download", [True, False])
def test_two_overlays_on_one_bitstream(
    open_overlay: Opener,
    csim_core: Any,
    families: Families,
    architecture: str,
    interrupt: bool,
    download: bool,
) -> None:
    first = open_overlay(csim_core, architecture=architecture, interrupt=interrupt)
    pair = Pair(families, first, PenstockOverlay(first.bitfile_name, download=download))
    pair.check()
    first.download()
    pair.check()


@BOTH
def test_a_timeout_in_one_leaves_the_other(
    open_overlay: Opener, csim_core: Any, families: Families, architecture: str, interrupt: bool
) -> None:
    first = open_overlay(csim_core, architecture=architecture, interrupt=interrupt)
    pair = Pair(families, first, PenstockOverlay(first.bitfile_name, download=False))
    pair.check()
    for index in (0, 1):
        csim_core.hang, pair.nets[index].timeout = True, 0.02
        with pytest.raises(CoreTimeoutError, match=r"not done after 0\.02 s"):
            pair.check(index)
        csim_core.hang, pair.nets[index].timeout = False, 10
        pair.check(1 - index, index)


@BOTH
def test_the_user_loads_the_bitstream_again(
    open_overlay: Opener, csim_core: Any, families: Families, architecture: str, interrupt: bool
) -> None:
    """The network goes on: its memory is not the FPGA's."""
    overlay = open_overlay(csim_core, architecture=architecture, interrupt=interrupt)
    pair = Pair(families, overlay, overlay)
    registers = overlay.core.register_map
    pair.check()
    overlay.download()
    assert int(registers.n_images) == 0  # not what PYNQ's view of the registers saw before
    pair.check()
    Overlay(overlay.bitfile_name)  # PYNQ's own class, with the same file
    pair.check()


def test_the_core_through_pynqs_own_overlay(open_overlay: Opener, board: str) -> None:
    """PYNQ binds the driver to every overlay that has the core."""
    core = ScriptedCore()
    bit = open_overlay(core).bitfile_name
    ip = Overlay(bit).penstock_0
    core.delay = 10_000
    for _ in range(3):
        ip.start({"n_images": 0})
        ip.wait(5)
    assert core.runs == 3
    assert ip.interrupt is not None


def test_arguments_that_someone_else_has_written(
    open_overlay: Opener, csim_core: Any, families: Families
) -> None:
    overlay = open_overlay(csim_core)
    pair = Pair(families, overlay, overlay)
    pair.check()
    for offset in range(0x10, 0x70, 4):
        overlay.core.write(offset, 0xDEAD_BEE8)
    pair.check()


def other_design(folder: Path, architecture: str, config_hash: int) -> Path:
    folder.mkdir(exist_ok=True)
    return write_design(folder, architecture=architecture, config_hash=config_hash)


def test_another_design_is_loaded(
    open_overlay: Opener, csim_core: Any, families: Families, tmp_path: Path, board: str
) -> None:
    """Under the same base name, as all bitstreams of ours have."""
    overlay = open_overlay(csim_core)
    pair = Pair(families, overlay, overlay)
    other = PenstockOverlay(other_design(tmp_path / "other", board, 0x1234))
    with pytest.raises(OverlayError, match=r"holds another design .*other/penstock\.bit.*download"):
        pair.check()
    with pytest.raises(ConfigurationError, match=r"configuration 0x00001234.*PL\.reset"):
        other.load(families["lc"][0])
    overlay.download()
    pair.check()
    assert overlay.binfile_name == ""  # PYNQ would load what it put aside under that name


def test_another_design_is_loaded_with_pynqs_own_class(
    open_overlay: Opener, csim_core: Any, families: Families, tmp_path: Path, board: str
) -> None:
    overlay = open_overlay(csim_core)
    pair = Pair(families, overlay, overlay)
    Overlay(str(other_design(tmp_path / "other", board, 0x1234)))
    attached = PenstockOverlay(overlay.bitfile_name, download=False)  # PYNQ calls it loaded
    for net in (*pair.nets, attached.load(families["lc"][0])):
        with pytest.raises(OverlayError, match=r"holds another design"):
            net(np.zeros((1, *net.meta["input"]["shape"]), np.float32))
    attached.download()
    pair.check()


def test_nothing_is_loaded(
    open_overlay: Opener, csim_core: Any, families: Families, tmp_path: Path, board: str
) -> None:
    bit = write_design(tmp_path, architecture=board)
    install(SimulatedBoard(csim_core, architecture=board))
    overlay = PenstockOverlay(bit, download=False)
    pair = Pair(families, overlay, overlay)
    with pytest.raises(OverlayError, match=r"holds no bitstream .*overlay\.download\(\)"):
        pair.check()
    overlay.download()
    pair.check()


@BOTH
def test_a_bitstream_is_loaded_in_the_middle_of_a_run(
    open_overlay: Opener,
    csim_core: Any,
    families: Families,
    interrupt: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By code that knows nothing of our lock: an error, never what the memory held."""
    overlay = open_overlay(csim_core, interrupt=interrupt)
    pair = Pair(families, overlay, overlay)
    csim_core.delay = 10**9
    wait = type(overlay.core).wait

    def load_and_wait(core: Any, timeout: float | None) -> None:
        with monkeypatch.context() as once:
            once.setattr(type(overlay.core), "wait", wait)
            Overlay(overlay.bitfile_name)
            wait(core, timeout)

    monkeypatch.setattr(type(overlay.core), "wait", load_and_wait)
    with pytest.raises(OverlayError, match=r"another bitstream was loaded while the core ran"):
        pair.check(0)
    monkeypatch.setattr(type(overlay.core), "wait", wait)
    csim_core.delay = 0
    pair.check()


def test_someone_else_reads_ap_done_away(
    open_overlay: Opener, csim_core: Any, families: Families
) -> None:
    """AP_CTRL forgets ap_done when it is read: over a register map, say, in another thread."""
    overlay = open_overlay(csim_core, interrupt=False)
    pair = Pair(families, overlay, overlay)
    advance = csim_core.advance

    def taken(cycles: int) -> bool:
        csim_core._done = 0
        return bool(advance(cycles))

    csim_core.advance, csim_core.delay = taken, 0
    pair.nets[0].timeout = 0.05
    pair.check(0)


def test_free(open_overlay: Opener, csim_core: Any, families: Families) -> None:
    overlay = open_overlay(csim_core)
    pair = Pair(families, overlay, overlay)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PYNQ's of its own
        overlay.free()
        overlay.free()
    with pytest.raises(ClosedError, match=r"overlay has been freed"):
        pair.check()
    again = PenstockOverlay(overlay.bitfile_name)
    Pair(families, again, again).check()
    overlay.download()
    pair.check()
    for net in pair.nets:
        net.close()
        net.close()


def test_the_bitstream_cannot_be_loaded_again(
    open_overlay: Opener,
    csim_core: Any,
    families: Families,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a timeout: the error says so, no network runs, no memory is given back meanwhile."""
    overlay = open_overlay(csim_core)
    pair = Pair(families, overlay, overlay)

    def fails(bitstream: Any, parser: Any = None) -> None:
        raise OSError("no firmware")

    csim_core.hang, pair.nets[0].timeout = True, 0.02
    with monkeypatch.context() as broken:
        broken.setattr(overlay.device, "download", fails)
        with pytest.raises(CoreTimeoutError, match=r"overlay\.download\(\): .*no firmware"):
            pair.check(0)
        for _ in range(2):
            with pytest.raises(OverlayError, match=r"cannot be loaded: no firmware"):
                pair.check(1)
        used = overlay.device.memory.used
        with pytest.raises(OverlayError, match=r"cannot be loaded: no firmware"):
            pair.nets[0].close()
        assert overlay.device.memory.used == used
    csim_core.hang = False
    pair.check(1)
    pair.nets[0].close()
    assert overlay.device.memory.used < used


def test_an_interrupted_loading_is_made_good(
    open_overlay: Opener, csim_core: Any, families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = open_overlay(csim_core)
    pair = Pair(families, overlay, overlay)
    with monkeypatch.context() as broken:
        broken.setattr(overlay.device, "post_download", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            overlay.download()
    pair.check()


def test_the_watchdog_is_followed_by_a_reset(
    open_overlay: Opener, package: Package, vectors: Vectors
) -> None:
    """The bus may still answer what the core has given up."""
    core = ScriptedCore()
    overlay = open_overlay(core)
    net = overlay.load(package)
    core.error = int(ErrorCode.WATCHDOG)
    with pytest.raises(HostError, match="WATCHDOG"):
        net(vectors.images[:1])
    core.error = 0
    assert overlay.device.downloads == 2
    net(vectors.images[:1])


@BOTH
def test_no_timeout(
    open_overlay: Opener, csim_core: Any, families: Families, interrupt: bool
) -> None:
    overlay = open_overlay(csim_core, interrupt=interrupt)
    pair = Pair(families, overlay, overlay)
    csim_core.delay = 30_000
    for net in pair.nets:
        net.timeout = None
    pair.check()
    package, vectors = families["acs"]
    with overlay.load(package, timeout=None) as net:
        assert vectors.differing(net.run(vectors.images)).sum() == 0


def test_no_timeout_and_a_lost_interrupt(
    open_overlay: Opener, csim_core: Any, families: Families
) -> None:
    from penstock.host import InterruptMissingError

    overlay = open_overlay(csim_core)
    pair = Pair(families, overlay, overlay)
    csim_core.delay, overlay.device.uio.lost, pair.nets[0].timeout = 30_000, True, None
    with pytest.raises(InterruptMissingError, match="no interrupt came within 1 s"):
        pair.check(0)
    pair.check()


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"batch": -1}, {"timeout": 0}, {"timeout": -1.0}, {"timeout": np.nan}]
)
def test_numbers_that_make_no_sense(
    open_overlay: Opener, package: Package, options: dict[str, Any]
) -> None:
    with pytest.raises(ArgumentError, match=next(iter(options))):
        open_overlay(ScriptedCore()).load(package, **options)


def test_a_batch_that_no_memory_holds(open_overlay: Opener, package: Package) -> None:
    overlay = open_overlay(ScriptedCore())
    for batch in (10**7, 10**12, 10**30):
        with pytest.raises(BufferExhaustedError, match="smaller batch"):
            overlay.load(package, batch=batch)
    assert overlay.device.memory.used == 0


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_nothing_can_be_copied(
    open_overlay: Opener, package: Package, copying: Callable[[Any], Any]
) -> None:
    overlay = open_overlay(ScriptedCore())
    net = overlay.load(package)
    for thing in (overlay, net, overlay.core):
        with pytest.raises(HostError, match="cannot be copied"):
            copying(thing)


def test_arrays_of_every_layout(
    open_overlay: Opener, csim_core: Any, families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, vectors = families["moe"]
    net = open_overlay(csim_core).load(package, batch=3)
    images = vectors.images
    wide = np.repeat(images, 2, axis=3)
    read_only = images.copy()
    read_only.flags.writeable = False
    views = [
        np.asfortranarray(images),
        wide[..., ::2],
        images[::-1][::-1],
        np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        read_only,
        np.ma.masked_array(images),
        list(images),
        memoryview(images),
    ]
    for view in views:
        assert vectors.differing(net.run(view)).sum() == 0
    for wrong in ([[1.0], [1.0, 2.0]], images.astype(">f4"), "images", None, iter(images)):
        with pytest.raises(ImageError):
            net.run(wrong)
    net.run(images)

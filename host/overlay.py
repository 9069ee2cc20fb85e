"""`PenstockOverlay`: the design on the FPGA; `load` puts a network on its core."""

import os
import weakref
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pynq import Overlay
from pynq.pl_server.device import Device

from penstock.host.board import Design, board_of, design_of
from penstock.host.errors import (
    STALE_HWH,
    ClosedError,
    CoreTimeoutError,
    HostError,
    OverlayError,
)
from penstock.host.ip import PenstockIP
from penstock.host.network import Network
from penstock.program.network.package import Package

_SETTLE_S = 10.0  # at most so long a run may go on after an error elsewhere


class PenstockOverlay(Overlay):
    """A bitstream with a Penstock core.

        net = PenstockOverlay("penstock.bit").load("net.pspkg")
        logits = net(images)

    Overlays and networks may be used from any thread of one process.  Several overlays of one
    design share its core; loading another design takes the core from all of them, until their
    own `download`.

    Attributes:
        board: what this process knows of the FPGA.

    Raises:
        OverlayError: .bit or .hwh is missing, or the design has no Penstock core.
        CoreBusyError: another process uses the core.
    """

    def __init__(self, bitfile_name: str | os.PathLike[str], **options: Any) -> None:
        bitfile = os.fspath(bitfile_name)
        if Path(bitfile).is_file() and not Path(bitfile).with_suffix(".hwh").is_file():
            raise OverlayError(
                f"{Path(bitfile).with_suffix('.hwh')} is missing",
                hint="copy .bit and .hwh of one build, under one base name",
            )
        device = options.get("device") or _active_device()
        self.board = board_of(device)
        self._design: Design | None = None
        self._freed = True
        self._claim()
        try:
            with self.board.lock:
                self.board.design(device)  # before PYNQ puts this file's name in its place
                self._open(bitfile, options)
            self._core_name = _find_core(self.ip_dict, bitfile)
        except BaseException:
            self._release()
            raise

    def _open(self, bitfile: str, options: dict[str, Any]) -> None:
        try:
            super().__init__(bitfile, **options)
        except ElementTree.ParseError as error:
            raise OverlayError(
                f"{Path(bitfile).with_suffix('.hwh')} cannot be read: {error}",
                hint=f"copy it again; {STALE_HWH}",
            ) from error
        except OSError as error:
            raise OverlayError(f"{bitfile}: {error}", hint=_hint(error)) from error
        except RuntimeError as error:
            raise OverlayError(f"{bitfile}: {error}", hint=STALE_HWH) from error
        self._design = self._design or design_of(self.bitfile_name)

    def __reduce__(self) -> Any:
        raise HostError(
            "an overlay belongs to its process and cannot be copied or pickled",
            hint="send the path of the .bit",
        )

    def _claim(self) -> None:
        """Keep other processes from the board until `free`, or while this overlay lives."""
        if self._freed:
            self.board.claim.take()
            self._release = weakref.finalize(self, self.board.claim.give_back)
            self._freed = False

    @property
    def core(self) -> PenstockIP:
        """The driver of the core.

        Raises:
            OverlayError: the .hwh's register map is not this core's.
        """
        # Not through PYNQ's own attribute, which another overlay of this very design would bar.
        try:
            core: PenstockIP = getattr(self._ip_map, self._core_name)
        except OSError as error:
            raise OverlayError(f"{self._core_name}: {error}", hint=_hint(error)) from error
        core.design = self
        return core

    def load(
        self,
        program: str | os.PathLike[str] | Package,
        *,
        batch: int = 16,
        timeout: float | None = 10.0,
    ) -> Network:
        """Put a network on the core.

        Args:
            program: the file `penstock compile` wrote (net.pspkg).
            batch: images the core runs by itself; while it does, the next batch is loaded.
            timeout: seconds a batch may take, None: any number.

        Raises:
            PackageError: the file is missing, truncated or corrupted.
            ConfigurationError: it was compiled for another hardware configuration.
            BufferExhaustedError: there is not enough contiguous memory.
            ArgumentError: `batch` or `timeout` is none.
            CoreBusyError: this is a fork of the process that opened the overlay.
        """
        self.board.check_process()
        package = program if isinstance(program, Package) else Package.load(Path(program))
        return Network(self, package, batch=batch, timeout=timeout)

    def download(self, dtbo: str | None = None) -> None:
        """Load the bitstream: resets the core; networks that are loaded keep their memory.

        Raises:
            OverlayError: it cannot be loaded.
            CoreBusyError: another process uses the core, or this is a fork.
        """
        self.board.check_process()
        with self.board.lock:
            self._claim()
            self._design = self._design or design_of(self.bitfile_name)
            self.board.loading = self._design
            # PYNQ would load the .bin it has put aside under this file's name, which another
            # overlay from a file of the same name may have replaced.
            self.binfile_name = ""
            try:
                super().download(dtbo)
            except (OSError, RuntimeError) as error:
                raise OverlayError(f"{self.bitfile_name} cannot be loaded: {error}") from error
            if self._design is not None:
                self.board.loaded(self.device, self._design)

    def restart(self) -> None:
        """Load the bitstream again: the only reset the core has; buffers keep their contents."""
        self.download()

    def free(self) -> None:
        """PYNQ's `free`; other processes may use the core, networks of this overlay may not."""
        self.board.check_process()
        with self.board.lock:
            self._freed = True
            self._release()
            super().free()

    # ---- a run; the caller holds `board.lock`
    def ready(self) -> PenstockIP:
        """The core, holding this design and idle.

        Raises:
            ClosedError: the overlay has been freed.
            OverlayError: the FPGA holds another design, or the bitstream cannot be loaded.
        """
        if self._freed:
            raise ClosedError("the overlay has been freed", hint="overlay.download()")
        again = "overlay.download() loads this one"
        board, wanted = self.board, self._design
        if board.loading is not None:  # and was not: an error, or Ctrl-C in the middle of it
            if wanted is None or not wanted.fits(board.loading):
                raise OverlayError("the loading of a bitstream has not ended", hint=again)
            self.restart()
        held = board.design(self.device)
        if wanted is None or not wanted.fits(held):
            name = getattr(self.device, "bitfile_name", None) or "none that PYNQ knows of"
            what = "no bitstream" if held is None else "another design"
            raise OverlayError(
                f"the FPGA holds {what} ({name}), not that of {self.bitfile_name}", hint=again
            )
        self.settle(_SETTLE_S)
        return self.core

    def settle(self, timeout: float | None) -> None:
        """Let a run that was left behind end, or end it, so that nothing writes its buffers."""
        board = self.board
        board.design(self.device)  # if another bitstream has been loaded, nothing runs
        if board.running is None:
            return
        try:
            if board.loading is not None:
                raise CoreTimeoutError("the loading of a bitstream has not ended")
            self.core.wait_until_idle(_SETTLE_S if timeout is None else min(timeout, _SETTLE_S))
        except CoreTimeoutError:
            self.restart()
        board.running = None

    def reset_after(self, error: HostError) -> None:
        """Load the bitstream again; `error` tells the user to if that fails."""
        try:
            self.restart()
        except HostError as failure:
            error.hint = f"load the bitstream again, overlay.download(): {failure}"


def _active_device() -> Any:
    try:
        return Device.active_device
    except RuntimeError as error:
        raise OverlayError(
            f"PYNQ says: {error}", hint="on the board: source /etc/profile.d/xrt_setup.sh"
        ) from error


def _hint(error: OSError) -> str:
    if isinstance(error, PermissionError) or "Root" in str(error):  # PYNQ's carries no number
        return "on the board: sudo -i, then source /etc/profile.d/pynq_venv.sh"
    return "build one with `make bitstream BOARD=...`"


def _find_core(ip_dict: dict[str, Any], source: str) -> str:
    """Name of the one Penstock core of the design."""
    names = [name for name, ip in ip_dict.items() if ip.get("type") in PenstockIP.bindto]
    if len(names) == 1:
        return names[0]
    found = ", ".join(sorted(ip_dict)) or "nothing"
    raise OverlayError(
        f"the .hwh of {source} names {len(names)} Penstock cores, expected one (it has: {found})",
        hint=f"take .bit and .hwh from one build of `make bitstream`; {STALE_HWH}",
    )

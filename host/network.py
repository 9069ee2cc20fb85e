"""`Network`: a program on the core.  Call it with images, read its trace."""

import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from penstock.host.batches import Batches
from penstock.host.codec import Array, Bytes, InputCodec, apply_head
from penstock.host.errors import (
    STALE_HWH,
    ArgumentError,
    BufferExhaustedError,
    ClosedError,
    ConfigurationError,
    HostError,
)
from penstock.host.trace import Trace
from penstock.program.base.arith import ceil_div, round_up
from penstock.program.network.ends import decode_results, head_of, labels_of, tails_of
from penstock.program.network.exits import decode_logits, exits_taken, with_thresholds
from penstock.program.network.meta import ProgramMeta
from penstock.program.network.outputs import decode_outputs
from penstock.program.network.package import Package
from penstock.program.network.pixels import pixels_of

if TYPE_CHECKING:
    from penstock.host.owner import CoreOwner


class Network:
    """A loaded program.  Made by `PenstockOverlay.load`.

        logits = net(images)        # float32 N x C x H x W -> float32 [N, classes]
        net.trace.cycles            # per image; see Trace
        net.profile()               # a matplotlib figure

    Several threads may call it, and other networks of the same core: each call has the core to
    itself until it has its results.

    Attributes:
        package: the program.
        batch: images the core runs by itself; whole runs of the program, where one takes several.
        timeout: seconds a batch may take, None: any number.
    """

    def __init__(
        self,
        overlay: "CoreOwner",
        package: Package,
        *,
        batch: int,
        timeout: float | None,
    ) -> None:
        if batch < 1:
            raise ArgumentError(f"batch is {batch}, expected at least 1")
        if timeout is not None and not timeout > 0:
            raise ArgumentError(f"timeout is {timeout}, expected seconds above 0, or None")
        self._overlay, self._board, self.package = overlay, overlay.board, package
        images = int(package.meta["images"])  # of a run
        self.batch, self.timeout = round_up(batch, images), timeout
        _check_configuration(overlay.core.config_hash, package)
        self._last: _Last | None = None  # of all threads; each has its own besides
        self._lasts = threading.local()
        self._closed = self._close_later = self._calls = self._rewrite = False
        self._head, self._tails = head_of(self.meta), tails_of(self.meta)
        self._codec = InputCodec(self.meta["input"], self.batch, self._head)
        source = self._head.source.shape if self._head else None
        self._pixels = pixels_of(self.meta["input"], source)
        self._batches = Batches(overlay, package, self._codec, self.batch)

    def __reduce__(self) -> Any:
        raise HostError(
            "a network belongs to its process and cannot be copied or pickled",
            hint="send the path of the .pspkg and load it there",
        )

    @property
    def meta(self) -> ProgramMeta:
        """The program's metadata (docs/program.md)."""
        return self.package.meta

    @property
    def trace(self) -> Trace:
        """What the core did for each run of the last call: for each image, or several.

        The last call of this thread; in a thread that has made none, of any.
        """
        return self._last_call().trace

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Predicted class of every image of the last call; [N]."""
        last = self._last_call()
        if last.results is None or last.logits is None:
            raise HostError("the last call gave records alone", hint="net(images)")
        return labels_of(last.logits, last.results, self._tails)

    @property
    def outputs(self) -> dict[str, npt.NDArray[Any]]:
        """Every output of the network's file for the images of the last call, by its name there."""
        last = self._last_call()
        if last.results is None:
            raise HostError("the last call gave records alone", hint="net(images)")
        return decode_outputs(last.trace.records, last.results, self.meta)

    def __call__(self, images: Array) -> npt.NDArray[Any]:
        """Logits, float32 [N, classes]; or what the network's file makes of them (softmax, ...).

        Args:
            images: float32 [N, C, H, W], or codes in the type the core takes (int8 or uint8).
                Where the program knows the convention of its pixels (`meta["input"]["pixels"]`):
                uint8 photographs, N x C x H x W, N x H x W x C or one H x W x C. Where
                it has a part for the host before the core: as the network's file takes them.

        Raises:
            ImageError: another shape or type, NaN or infinity.
            CoreTimeoutError: the core hung; the bitstream has been loaded again since.
            ConfigurationError, CoreError: the core refused the program or stopped.
            InterruptMissingError: the interrupt did not come.
            OverlayError: the FPGA holds another design.
            ClosedError: the network is closed, or its overlay freed.
            CoreBusyError: this is a forked process, or a run of this thread is going on.
        """
        records = self.run(images)
        last = self._last_call()
        last.logits = decode_logits(records, self.meta)[: last.images]
        exits = exits_taken(records, self.meta).repeat(self.meta["images"])[: last.images]
        last.results = decode_results(last.logits, exits, self._tails)
        return last.results

    def run(self, images: Array) -> Bytes:
        """The output records, uint8 [runs, record bytes]; arguments and errors as a call.

        A run is an image, or several (`meta["images"]`); what the last one lacks is zeros.
        """
        self._board.enter()
        self._check_open()
        if self._head:
            images = apply_head(self._head, images, self._pixels)
        flat = self._codec.check(images)
        records = _empty(ceil_div(len(flat), self.meta["images"]), self.meta["record_bytes"])
        with self._board.lock:
            self._check_open()  # another thread may have closed it meanwhile
            self._last = self._lasts.last = None
            self._calls = True
            try:
                core = self._overlay.ready()
                if self._rewrite:
                    self._batches.rewrite_program(self.package.descriptors)
                    self._rewrite = False
                self._batches.run(core, flat, records, self.timeout)
            finally:
                self._calls = False
                if self._close_later:
                    self.close()
            self._last = self._lasts.last = _Last(Trace(records, self.meta), len(flat))
        return records

    def set_thresholds(self, *thresholds: float) -> None:
        """Other thresholds of the early exits, in order: 0 always exits, above 1 never.

        The program in memory is changed, nothing is compiled.

        Raises:
            PenstockError: another number of thresholds than exits, or one that is none.
        """
        self._board.enter()
        with self._board.lock:
            self._check_open()
            self.package = with_thresholds(self.package, thresholds)
            self._rewrite = True  # before the next run, when the core is known to be idle

    def profile(self, labels: npt.NDArray[Any] | None = None) -> Any:
        """A figure of the last call: skips by class and channel, latency by difficulty, causes."""
        from penstock.host.profile import profile

        last = self._last_call()
        if last.logits is None:
            last.logits = decode_logits(last.trace.records, self.meta)
        return profile(last.trace, last.logits, labels)

    def close(self) -> None:
        """Give the contiguous memory back; the network cannot be used any more.

        While another thread runs it, this waits for the end; from within its own run, it is
        closed at the end.
        """
        if self._board.pid != os.getpid():
            return  # the memory is the parent's
        inside = self._board.inside()
        with self._board.lock:
            if inside and self._calls:
                self._close_later = True
                return
            self._closed = True
            if self._board.running is self._batches:
                self._overlay.settle(self.timeout)
            self._batches.free()

    def __enter__(self) -> "Network":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed or self._close_later:
            raise ClosedError("the network is closed", hint="load it again")

    def _last_call(self) -> "_Last":
        last: _Last | None = getattr(self._lasts, "last", self._last)
        if last is None:
            raise HostError("nothing has been run yet", hint="net(images)")
        return last


class _Last:
    """What is kept of a call."""

    def __init__(self, trace: Trace, images: int) -> None:
        self.trace, self.images = trace, images
        self.logits: npt.NDArray[np.float32] | None = None
        self.results: npt.NDArray[Any] | None = None


def _empty(runs: int, record: int) -> Bytes:
    try:
        return np.empty((runs, record), np.uint8)
    except (MemoryError, ValueError) as error:
        raise BufferExhaustedError(
            f"no memory for {runs} records of {record:,} bytes", hint="give fewer images a call"
        ) from error


def _check_configuration(bitstream: int | None, package: Package) -> None:
    """ConfigurationError if the `.hwh` tells that the bitstream is for another configuration."""
    if bitstream is not None and bitstream != package.config_hash:
        raise ConfigurationError(
            f"the bitstream is configuration {bitstream:#010x}, the program was compiled for "
            f"{package.config_hash:#010x} ('{package.meta.get('config', 'unknown')}')",
            hint="compile with the bitstream's --config, or load the matching bitstream; "
            + STALE_HWH,
        )

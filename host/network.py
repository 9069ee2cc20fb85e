"""`Network`: a program on the core.  Call it with images, read its trace."""

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from penstock.host.buffers import Slot, constant, rewrite
from penstock.host.codec import Array, Bytes, InputCodec
from penstock.host.errors import (
    BufferExhaustedError,
    ClosedError,
    ConfigurationError,
    CoreError,
    CoreTimeoutError,
    HostError,
)
from penstock.host.trace import Trace
from penstock.program.exits import decode_logits, with_thresholds
from penstock.program.package import Package

if TYPE_CHECKING:
    from penstock.host.overlay import PenstockOverlay


class Network:
    """A loaded program.  Made by `PenstockOverlay.load`.

        logits = net(images)        # float32 N x C x H x W -> float32 [N, classes]
        net.trace.cycles            # per image; see Trace
        net.profile()               # a matplotlib figure

    Attributes:
        package: the program.
        batch: images the core runs by itself; whole runs of the program, where one takes several.
        timeout: seconds a batch may take.
    """

    def __init__(
        self, overlay: "PenstockOverlay", package: Package, *, batch: int, timeout: float
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}, expected at least 1")
        self._overlay, self.package = overlay, package
        self._images = int(package.meta["images"])  # of a run
        self.batch, self.timeout = -(-batch // self._images) * self._images, timeout
        _check_configuration(overlay.core.config_hash, package)
        self._trace: Trace | None = None
        self._logits: npt.NDArray[np.float32] | None = None
        self._buffers: list[Any] = []
        self._slots: list[Slot] = []
        self._codec = InputCodec(self.meta["input"], self.batch)
        try:
            self._allocate(overlay.device)
        except BufferExhaustedError:
            self.close()
            raise

    def _allocate(self, device: Any) -> None:
        for data, purpose in ((self.package.descriptors, "the program"),
                              (self.package.weights, "the weights")):  # fmt: skip
            self._buffers.append(constant(data, purpose, device))
        size, record = self.meta["input"]["bytes"], self.meta["record_bytes"]
        for _ in range(2):
            records = self.batch // self._images, record
            self._slots.append(Slot(self._codec, (self.batch, size), records, device))
        program, weights = self._buffers
        self._arguments = {
            "program": program.device_address,
            "weights": weights.device_address,
            "n_descriptors": self.package.n_descriptors,
            "input_stride": self._images * size,
            "output_stride": record,
            "weight_bytes": len(self.package.weights),
            "config_hash": self.package.config_hash,
        }

    @property
    def meta(self) -> dict[str, Any]:
        """The program's metadata (docs/program.md)."""
        return self.package.meta

    @property
    def trace(self) -> Trace:
        """What the core did for each run of the last call: for each image, or several."""
        if self._trace is None:
            raise HostError("nothing has been run yet", hint="net(images)")
        return self._trace

    def __call__(self, images: Array) -> npt.NDArray[np.float32]:
        """Logits, float32 [N, classes].

        Args:
            images: float32 [N, C, H, W], or codes in the type the core takes (int8 or uint8).

        Raises:
            ImageError: another shape or type, NaN or infinity.
            CoreTimeoutError: the core hung; the bitstream has been loaded again since.
            ConfigurationError, CoreError: the core refused the program or stopped.
            InterruptMissingError: the interrupt did not come.
        """
        records = self.run(images)
        self._logits = decode_logits(records, self.meta)[: len(images)]
        return self._logits

    def run(self, images: Array) -> Bytes:
        """The output records, uint8 [runs, record bytes]; arguments and errors as a call.

        A run is an image, or several (`meta["images"]`); what the last one lacks is zeros.
        """
        if not self._slots:
            raise ClosedError("the network is closed", hint="load it again")
        flat = self._codec.check(images)
        records = np.empty((self._runs(len(flat)), self.meta["record_bytes"]), np.uint8)
        self._trace = self._logits = None
        self._run_batches(flat, records)
        self._trace = Trace(records, self.meta)
        return records

    def set_thresholds(self, *thresholds: float) -> None:
        """Other thresholds of the early exits, in order: 0 always exits, above 1 never.

        The program in memory is changed, nothing is compiled.

        Raises:
            PenstockError: another number of thresholds than exits, or one that is none.
        """
        if not self._slots:
            raise ClosedError("the network is closed", hint="load it again")
        self.package = with_thresholds(self.package, thresholds)
        rewrite(self._buffers[0], self.package.descriptors)

    def profile(self, labels: npt.NDArray[Any] | None = None) -> Any:
        """A figure of the last call: skips by class and channel, latency by difficulty, causes."""
        from penstock.host.profile import profile

        trace = self.trace
        if self._logits is None:
            self._logits = decode_logits(trace.records, self.meta)
        return profile(trace, self._logits, labels)

    def close(self) -> None:
        """Give the contiguous memory back; the network cannot be used any more."""
        for slot in self._slots:
            slot.free()
        for buffer in self._buffers:
            buffer.freebuffer()
        self._slots, self._buffers = [], []

    def __enter__(self) -> "Network":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _runs(self, images: int) -> int:
        """Runs of the program that so many images take."""
        return -(-images // self._images)

    # ---- the double buffer
    def _run_batches(self, images: Array, records: Bytes) -> None:
        """While the core runs one slot, the other is drained and filled."""
        running: tuple[Slot, Bytes] | None = None
        try:
            for index, first in enumerate(range(0, len(images), self.batch)):
                slot, part = self._slots[index % 2], images[first : first + self.batch]
                begin, runs = self._runs(first), self._runs(len(part))
                slot.fill(part, first, runs)
                if running:
                    self._wait()
                self._start(slot, runs)
                if running:
                    running[0].drain(running[1])
                running = slot, records[begin : begin + runs]
            if running:
                self._wait()
                running[0].drain(running[1])
        except (CoreError, ConfigurationError):
            raise  # the core has stopped by itself and is idle
        except CoreTimeoutError:
            self._overlay.restart()
            raise
        except BaseException:
            self._settle(running is not None)
            raise

    def _start(self, slot: Slot, runs: int) -> None:
        self._overlay.core.start(
            {
                **self._arguments,
                "input": slot.input.device_address,
                "output": slot.output.device_address,
                "n_images": runs,
            }
        )

    def _wait(self) -> None:
        self._overlay.core.wait(self.timeout)

    def _settle(self, running: bool) -> None:
        """After an error elsewhere: let the batch that still runs end before buffers are reused."""
        if running and not self._overlay.core.state().idle:
            with contextlib.suppress(HostError):
                self._wait()
                return
            self._overlay.restart()


def _check_configuration(bitstream: int | None, package: Package) -> None:
    """ConfigurationError if the `.hwh` tells that the bitstream is for another configuration."""
    if bitstream is not None and bitstream != package.config_hash:
        raise ConfigurationError(
            f"the bitstream is configuration {bitstream:#010x}, the program was compiled for "
            f"{package.config_hash:#010x} ('{package.meta.get('config', 'unknown')}')",
            hint="compile with the bitstream's --config, or load the matching bitstream",
        )

"""`Batches`: the buffers of a network, and images through the core in batches."""

from typing import TYPE_CHECKING, Any

from penstock.host.buffers import Slot, constant, rewrite
from penstock.host.codec import Array, Bytes, InputCodec
from penstock.host.errors import (
    BufferExhaustedError,
    ConfigurationError,
    CoreError,
    CoreTimeoutError,
)
from penstock.host.ip import PenstockIP
from penstock.program.base.arith import ceil_div
from penstock.program.core.registers import ErrorCode
from penstock.program.network.package import Package

if TYPE_CHECKING:
    from penstock.host.owner import CoreOwner


class Batches:
    """Program, weights and the double buffer.  Whoever calls holds the board's lock."""

    def __init__(
        self, overlay: "CoreOwner", package: Package, codec: InputCodec, batch: int
    ) -> None:
        """Allocate for `batch` images, whole runs of the program.

        Raises:
            BufferExhaustedError: there is not enough contiguous memory; nothing is kept of it.
        """
        self._overlay, self._board, self._batch = overlay, overlay.board, batch
        self._images = int(package.meta["images"])  # of a run
        self._timeout: float | None = None
        self._buffers: list[Any] = []
        self._slots: list[Slot] = []
        try:
            self._allocate(package, codec)
        except BufferExhaustedError:
            self.free()
            raise

    def _allocate(self, package: Package, codec: InputCodec) -> None:
        device = self._overlay.device
        for data, purpose in ((package.descriptors, "the program"),
                              (package.weights, "the weights")):  # fmt: skip
            self._buffers.append(constant(data, purpose, device))
        size, record = package.meta["input"]["bytes"], package.meta["record_bytes"]
        for _ in range(2):
            records = self._batch // self._images, record
            self._slots.append(Slot(codec, (self._batch, size), records, device))
        program, weights = self._buffers
        self._arguments = {
            "program": program.device_address,
            "weights": weights.device_address,
            "n_descriptors": package.n_descriptors,
            "input_stride": self._images * size,
            "output_stride": record,
            "weight_bytes": len(package.weights),
            "config_hash": package.config_hash,
        }

    def rewrite_program(self, descriptors: bytes) -> None:
        """Put other descriptors, as many, into the core's memory."""
        rewrite(self._buffers[0], descriptors)

    def free(self) -> None:
        """Give the memory back."""
        while self._slots:
            self._slots.pop().free()
        while self._buffers:
            self._buffers.pop().freebuffer()

    def run(self, core: PenstockIP, images: Array, records: Bytes, timeout: float | None) -> None:
        """Run all; whatever goes wrong, the core is idle or the bitstream loaded again then."""
        self._timeout = timeout
        try:
            self._alternate(core, images, records)
        except (CoreError, ConfigurationError) as error:
            self._board.running = None  # the core has stopped by itself and is idle
            if isinstance(error, CoreError) and error.code == ErrorCode.WATCHDOG:
                self._overlay.reset_after(error)  # answers may still come
            raise
        except CoreTimeoutError as error:
            self._overlay.reset_after(error)
            raise
        except BaseException:
            self._overlay.settle(timeout)
            raise

    def _alternate(self, core: PenstockIP, images: Array, records: Bytes) -> None:
        """While the core runs one slot, the other is drained and filled."""
        running: tuple[Slot, Bytes] | None = None
        for index, first in enumerate(range(0, len(images), self._batch)):
            slot, part = self._slots[index % 2], images[first : first + self._batch]
            begin, runs = first // self._images, ceil_div(len(part), self._images)
            slot.fill(part, first, runs)
            if running:
                self._wait(core)
            self._start(core, slot, runs)
            if running:
                running[0].drain(running[1])
            running = slot, records[begin : begin + runs]
        if running:
            self._wait(core)
            running[0].drain(running[1])

    def _start(self, core: PenstockIP, slot: Slot, runs: int) -> None:
        self._board.running = self  # also keeps the buffers, as long as the core may write them
        core.start(
            {
                **self._arguments,
                "input": slot.input.device_address,
                "output": slot.output.device_address,
                "n_images": runs,
            }
        )

    def _wait(self, core: PenstockIP) -> None:
        core.wait(self._timeout)
        self._board.running = None

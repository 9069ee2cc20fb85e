"""`SimulatedBoard`: the `pynq.pl_server.device.Device` of a board that does not exist."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pynq
from pynq.interrupt import _InterruptController
from pynq.pl_server.device import Device
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from penstock.host.registermap import VLNV
from penstock.program.core.registers import AP_CTRL
from penstock.sim.board.clocks import BY_ARCHITECTURE, RegisterFile
from penstock.sim.board.core import Core
from penstock.sim.board.interrupts import InterruptController, SimulatedUio
from penstock.sim.board.memory import SimulatedMemory

#: Cycles that pass between two looks at the core.
SLICE = 2000


class SimulatedBoard(Device):
    """A board whose PL holds one core.

    Attributes:
        memory: the contiguous memory.
        downloads: bitstreams loaded so far.
        uio: the interrupt's UIO device, None if the design has no interrupt controller.
        name: what it is known by; boards of one name are one to whoever looks at names alone.
    """

    _probe_priority_ = 10  # below EmbeddedDevice's: found first
    _installed: "SimulatedBoard | None" = None

    @classmethod
    def _probe_(cls) -> Sequence["SimulatedBoard"]:
        return [cls._installed] if cls._installed else []

    def __init__(
        self,
        core: Core,
        *,
        architecture: str = "armv7l",
        memory: SimulatedMemory | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__("simulated")
        self.name, self.arch = name or f"simulated board {os.getpid()}", architecture
        self.capabilities = {"REGISTER_RW": True, "MEMORY_MAPPED": False, "CALLABLE": False}
        self.memory = memory or SimulatedMemory()
        self.bitfile_name, self.timestamp, self.downloads = "", "", 0
        self.uio: SimulatedUio | None = None
        self._core = core
        # One access at a time, from whatever board or thread: a core is no more than a model.
        self._bus: Any = vars(core).setdefault("_bus_lock", threading.RLock())
        self._core_range = range(0)
        self._models: dict[range, Any] = {}
        for base, values in BY_ARCHITECTURE[architecture].items():
            self._models[range(base, base + 0x1000)] = RegisterFile(values)

    # ---- registers
    def read_registers(self, address: int, length: int) -> bytes:
        """PYNQ's MMIO reads through this."""
        model, offset = self._at(address)
        with self._bus:
            if model is self._core and offset == AP_CTRL:
                self._core.advance(SLICE)  # time passes while a host polls
            words = [int(model.read(offset + i)) for i in range(0, length, 4)]
        return b"".join(word.to_bytes(4, "little") for word in words)

    def write_registers(self, address: int, data: Any) -> None:
        """PYNQ's MMIO writes through this."""
        model, offset = self._at(address)
        data = bytes(data)
        with self._bus:
            for i in range(0, len(data), 4):
                model.write(offset + i, int.from_bytes(data[i : i + 4], "little"))

    def _advance(self, cycles: int) -> bool:
        with self._bus:
            return self._core.advance(cycles)

    def _at(self, address: int) -> tuple[Any, int]:
        for addresses, model in self._models.items():
            if address in addresses:
                return model, address - addresses.start
        raise MemoryError(f"bus error: nothing answers at {address:#x}")

    # ---- memory
    def allocate(self, shape: Any, dtype: Any = "u4", **options: Any) -> Any:
        """`pynq.allocate`."""
        return self.memory.allocate(shape, dtype, self, cacheable=options.get("cacheable"))

    def flush(self, bo: int, offset: int, virtual: int, size: int) -> None:
        """Cache to memory."""
        self.memory.flush(bo, offset, size)

    def invalidate(self, bo: int, offset: int, virtual: int, size: int) -> None:
        """Memory to cache."""
        self.memory.invalidate(bo, offset, size)

    def get_memory(self, description: Any) -> Any:
        """PYNQ asks for it when the design names a memory."""
        return self.memory

    # ---- bitstream
    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """PYNQ's own parser of the `.hwh`."""
        parser = RuntimeMetadataParser(Metadata(input=Path(bitfile_name).with_suffix(".hwh")))
        parser.refresh_hierarchy_dict()
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Loading a bitstream resets the core and puts it where the `.hwh` says."""
        self.downloads += 1
        self._models.pop(self._core_range, None)
        for name, ip in parser.ip_dict.items():
            if ip.get("type") in VLNV.values():
                self._core_range = range(ip["phys_addr"], ip["phys_addr"] + ip["addr_range"])
                self._models[self._core_range] = self._core
                with self._bus:
                    self._core.attach(self.memory.dram, self.memory.base)
                self._connect_interrupt(parser, name)
        self.post_download(bitstream, parser, self.name)

    def _connect_interrupt(self, parser: Any, core: str) -> None:
        if self.uio is not None:
            self.uio.close()
            self.uio = None
        pin = parser.interrupt_pins.get(f"{core}/interrupt")
        if pin is None:
            return
        name = pin["controller"]
        controller = InterruptController(lambda: self._advance(0), pin["index"])
        base = parser.ip_dict[name]["phys_addr"]
        self._models[range(base, base + parser.ip_dict[name]["addr_range"])] = controller
        self.uio = SimulatedUio(self._pass_time, self._interrupted(controller))
        irq = parser.interrupt_controllers[name]["raw_irq"]
        _InterruptController._uio_devices[irq] = self.uio

    def _pass_time(self) -> None:
        self._advance(SLICE)

    def _interrupted(self, controller: InterruptController) -> Any:
        def output() -> bool:
            with self._bus:
                return controller.output()

        return output

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        """Nothing to cache."""

    def set_axi_port_width(self, parser: Any) -> None:
        """The model has no port widths."""


def install(board: SimulatedBoard) -> SimulatedBoard:
    """Make `board` PYNQ's active device."""
    SimulatedBoard._installed = board
    Device.active_device = board
    clocks = type(pynq.ps.Clocks)
    for holder in (pynq.ps.Clocks, clocks):
        if "_real_instance" in vars(holder):
            del holder._real_instance
    return board

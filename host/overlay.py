"""`PenstockOverlay`: the design on the FPGA; `load` puts a network on its core."""

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pynq import Overlay

from penstock.host.errors import OverlayError
from penstock.host.ip import PenstockIP
from penstock.host.network import Network
from penstock.program.package import Package


class PenstockOverlay(Overlay):
    """A bitstream with a Penstock core.

        net = PenstockOverlay("penstock.bit").load("net.pspkg")
        logits = net(images)

    Raises:
        OverlayError: .bit or .hwh is missing, or the design has no Penstock core.
    """

    def __init__(self, bitfile_name: str | os.PathLike[str], **options: Any) -> None:
        bitfile = os.fspath(bitfile_name)
        if Path(bitfile).is_file() and not Path(bitfile).with_suffix(".hwh").is_file():
            raise OverlayError(
                f"{Path(bitfile).with_suffix('.hwh')} is missing",
                hint="copy .bit and .hwh of one build, under one base name",
            )
        try:
            super().__init__(bitfile, **options)
        except ElementTree.ParseError as error:
            raise OverlayError(
                f"{Path(bitfile).with_suffix('.hwh')} cannot be read: {error}", hint="copy it again"
            ) from error
        except OSError as error:
            raise OverlayError(
                f"{bitfile}: {error}", hint="build one with `make bitstream BOARD=...`"
            ) from error
        self._core_name = _find_core(self.ip_dict, bitfile)

    @property
    def core(self) -> PenstockIP:
        """The driver of the core.

        Raises:
            OverlayError: the .hwh's register map is not this core's.
        """
        core: PenstockIP = getattr(self, self._core_name)
        return core

    def load(
        self, program: str | os.PathLike[str] | Package, *, batch: int = 16, timeout: float = 10.0
    ) -> Network:
        """Put a network on the core.

        Args:
            program: the file `penstock compile` wrote (net.pspkg).
            batch: images the core runs by itself; while it does, the next batch is loaded.
            timeout: seconds a batch may take.

        Raises:
            PackageError: the file is missing, truncated or corrupted.
            ConfigurationError: it was compiled for another hardware configuration.
            BufferExhaustedError: there is not enough contiguous memory.
        """
        package = program if isinstance(program, Package) else Package.load(Path(program))
        return Network(self, package, batch=batch, timeout=timeout)

    def restart(self) -> None:
        """Load the bitstream again: the only reset the core has; buffers keep their contents."""
        core = self.core
        self.download()
        core.reconnect()


def _find_core(ip_dict: dict[str, Any], source: str) -> str:
    """Name of the one Penstock core of the design."""
    names = [name for name, ip in ip_dict.items() if ip.get("type") in PenstockIP.bindto]
    if len(names) == 1:
        return names[0]
    found = ", ".join(sorted(ip_dict)) or "nothing"
    raise OverlayError(
        f"the .hwh of {source} names {len(names)} Penstock cores, expected one (it has: {found})",
        hint="take .bit and .hwh from one build of `make bitstream`",
    )

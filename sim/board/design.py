"""Writes the `.bit` and `.hwh` of a design around the core, as far as PYNQ reads them.

The bitstream has the header Vivado writes and no configuration data: only a simulated board can
load it.  The `.hwh` names the processing system with its clocks, the core with its register map,
and, unless told otherwise, an AXI interrupt controller.
"""

import struct
from pathlib import Path
from xml.etree import ElementTree as Xml

from penstock.host.registermap import HASH_PARAMETER, VLNV, hwh_registers, vitis_name

_AXI_LITE = (
    ("AWADDR", "I", 8), ("AWVALID", "I", 1), ("AWREADY", "O", 1), ("WDATA", "I", 32),
    ("WVALID", "I", 1), ("WREADY", "O", 1), ("BVALID", "O", 1), ("BREADY", "I", 1),
    ("ARADDR", "I", 8), ("ARVALID", "I", 1), ("ARREADY", "O", 1), ("RDATA", "O", 32),
    ("RVALID", "O", 1), ("RREADY", "I", 1),
)  # fmt: skip

#: Processing system by architecture: VLNV, AXI master, interrupt input, base address, device.
_SYSTEMS = {
    "armv7l": ("processing_system7:5.5", "M_AXI_GP0", "IRQ_F2P", 0x43C0_0000, "7z020"),
    "aarch64": ("zynq_ultra_ps_e:3.5", "M_AXI_HPM0_FPD", "pl_ps_irq0", 0xA000_0000, "xczu7ev"),
}
_RANGE = 0x1_0000
#: What is divided for the programmable logic.
_PLL_MHZ = {"armv7l": 1000, "aarch64": 1500}


def write_design(
    folder: Path,
    name: str = "penstock",
    *,
    architecture: str = "armv7l",
    core: str = "rtl",
    interrupt: bool = True,
    config_hash: int | None = None,
    clock_mhz: int = 100,
) -> Path:
    """Write folder/name.bit and .hwh; returns the path of the `.bit`.

    Args:
        folder: where to.
        name: base name of both files.
        architecture: "armv7l" (Zynq-7000) or "aarch64" (Zynq UltraScale+).
        core: "rtl" or "hls", the key of its VLNV.
        interrupt: route the core's interrupt through an AXI interrupt controller.
        config_hash: hash in the core's parameters, None for none.
        clock_mhz: of the programmable logic; a whole fraction of the PLL that is divided for it.
    """
    bit = Path(folder) / f"{name}.bit"
    bit.write_bytes(_bitstream(name))
    root = _Design(architecture, VLNV[core], interrupt, config_hash, clock_mhz).build()
    Xml.ElementTree(root).write(bit.with_suffix(".hwh"), encoding="utf-8", xml_declaration=True)
    return bit


def _bitstream(name: str) -> bytes:
    """The header of a Vivado bitstream and eight words of padding."""

    def text(key: bytes, value: str) -> bytes:
        return key + struct.pack(">H", len(value) + 1) + value.encode() + b"\0"

    payload = b"\xff" * 32
    magic = struct.pack(">H", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">H", 1)
    fields = text(b"a", f"{name};UserID=0XFFFFFFFF") + text(b"b", "simulated")
    fields += text(b"c", "2000/01/01") + text(b"d", "00:00:00")
    return magic + fields + b"e" + struct.pack(">I", len(payload)) + payload


class _Design:
    """Builds the XML; every module hangs on one AXI master of the processing system."""

    def __init__(
        self,
        architecture: str,
        vlnv: str,
        interrupt: bool,
        config_hash: int | None,
        clock_mhz: int,
    ) -> None:
        self._arch = architecture
        self._system, self._master, self._irq, self._base, self._part = _SYSTEMS[architecture]
        self._core, self._vlnv = "penstock_0", vlnv
        self._interrupt, self._hash = interrupt, config_hash
        self._divisor, left = divmod(_PLL_MHZ[architecture], clock_mhz)
        if left or self._divisor > 63:
            raise ValueError(f"no divisor makes {clock_mhz} MHz")
        self._actual_mhz = f"{clock_mhz}.0"

    def build(self) -> Xml.Element:
        root = Xml.Element("EDKSYSTEM", EDWVERSION="1.2", TIMESTAMP="0", VIVADOVERSION="simulated")
        Xml.SubElement(root, "SYSTEMINFO", ARCH="zynq", DEVICE=self._part, NAME="design_1")
        Xml.SubElement(root, "EXTERNALPORTS")
        Xml.SubElement(root, "EXTERNALINTERFACES")
        modules = Xml.SubElement(root, "MODULES")
        slaves = [(self._core, "s_axi_control", self._base)]
        if self._interrupt:
            slaves.append(("axi_intc_0", "s_axi", self._base + _RANGE))
        self._processor(modules, slaves)
        self._accelerator(modules)
        if self._interrupt:
            self._controller(modules)
        return root

    def _processor(self, modules: Xml.Element, slaves: list[tuple[str, str, int]]) -> None:
        module = _module(modules, "ps_0", f"xilinx.com:ip:{self._system}", "PROCESSOR")
        parameters = Xml.SubElement(module, "PARAMETERS")
        for name, value in self._clocks().items():
            Xml.SubElement(parameters, "PARAMETER", NAME=name, VALUE=value)
        ports = Xml.SubElement(module, "PORTS")
        to = [(core, bus) for core, bus, _ in slaves]
        _bus(module, ports, self._master, "MASTER", to)
        if self._interrupt:
            _port(ports, self._irq, "I", 1, [("axi_intc_0", "irq")])
        memory = Xml.SubElement(module, "MEMORYMAP")
        for core, bus, base in slaves:
            Xml.SubElement(
                memory, "MEMRANGE", ADDRESSBLOCK="Reg", BASENAME="C_BASEADDR",
                BASEVALUE=f"{base:#x}", HIGHNAME="C_HIGHADDR", HIGHVALUE=f"{base + _RANGE - 1:#x}",
                INSTANCE=core, MASTERBUSINTERFACE=self._master, MEMTYPE="REGISTER",
                SLAVEBUSINTERFACE=bus,
            )  # fmt: skip

    def _clocks(self) -> dict[str, str]:
        values = {}
        for i in range(4):
            if self._arch == "armv7l":
                values[f"PCW_FPGA_FCLK{i}_ENABLE"] = str(int(i == 0))
                values[f"PCW_FCLK{i}_PERIPHERAL_DIVISOR0"] = str(self._divisor)
                values[f"PCW_FCLK{i}_PERIPHERAL_DIVISOR1"] = "1"
                values[f"PCW_FCLK{i}_PERIPHERAL_CLKSRC"] = "IO PLL"
            else:
                prefix = f"PSU__CRL_APB__PL{i}_REF_CTRL__"
                values[f"PSU__FPGA_PL{i}_ENABLE"] = str(int(i == 0))
                values |= {prefix + "DIVISOR0": str(self._divisor), prefix + "DIVISOR1": "1"}
                values |= {prefix + "SRCSEL": "IOPLL", prefix + "ACT_FREQMHZ": self._actual_mhz}
        return values

    def _accelerator(self, modules: Xml.Element) -> None:
        module = _module(modules, self._core, self._vlnv, "PERIPHERAL")
        blocks = Xml.SubElement(module, "ADDRESSBLOCKS")
        block = Xml.SubElement(blocks, "ADDRESSBLOCK", NAME="Reg", INTERFACE="s_axi_control")
        block.attrib |= {"ACCESS": "read-write", "RANGE": str(_RANGE), "USAGE": "register"}
        _registers(Xml.SubElement(block, "REGISTERS"), vitis=self._vlnv == VLNV["hls"])
        parameters = Xml.SubElement(module, "PARAMETERS")
        if self._hash is not None:
            value = f"{self._hash:#010x}"
            Xml.SubElement(parameters, "PARAMETER", NAME=HASH_PARAMETER, VALUE=value)
        ports = Xml.SubElement(module, "PORTS")
        _bus(module, ports, "s_axi_control", "SLAVE", [("ps_0", self._master)])
        to = [("axi_intc_0", "intr")] if self._interrupt else []
        _port(ports, "interrupt", "O", 1, to)

    def _controller(self, modules: Xml.Element) -> None:
        module = _module(modules, "axi_intc_0", "xilinx.com:ip:axi_intc:4.1", "PERIPHERAL")
        Xml.SubElement(module, "PARAMETERS")
        ports = Xml.SubElement(module, "PORTS")
        _bus(module, ports, "s_axi", "SLAVE", [("ps_0", self._master)])
        _port(ports, "intr", "I", 1, [(self._core, "interrupt")])
        _port(ports, "irq", "O", 1, [("ps_0", self._irq)])


def _module(parent: Xml.Element, name: str, vlnv: str, kind: str) -> Xml.Element:
    return Xml.SubElement(
        parent, "MODULE", FULLNAME=f"/{name}", INSTANCE=name, IPTYPE=kind, MODCLASS=kind,
        MODTYPE=vlnv.split(":")[2], VLNV=vlnv, HWVERSION=vlnv.split(":")[3], IS_ENABLE="1",
    )  # fmt: skip


def _port(
    ports: Xml.Element, name: str, direction: str, width: int, to: list[tuple[str, str]]
) -> None:
    port = Xml.SubElement(ports, "PORT", DIR=direction, NAME=name, SIGIS="undef", SIGNAME=name)
    if width > 1:
        port.set("LEFT", str(width - 1))
        port.set("RIGHT", "0")
    connections = Xml.SubElement(port, "CONNECTIONS")
    for instance, other in to:
        Xml.SubElement(connections, "CONNECTION", INSTANCE=instance, PORT=other)


def _bus(
    module: Xml.Element, ports: Xml.Element, name: str, kind: str, to: list[tuple[str, str]]
) -> None:
    """An AXI4-Lite bus interface with its ports and its map from logical to physical names."""
    buses = Xml.SubElement(module, "BUSINTERFACES")
    bus = Xml.SubElement(buses, "BUSINTERFACE", BUSNAME="axi", DATAWIDTH="32", NAME=name,
                         TYPE=kind, VLNV="xilinx.com:interface:aximm:1.0")  # fmt: skip
    portmaps = Xml.SubElement(bus, "PORTMAPS")
    for signal, direction, width in _AXI_LITE:
        if kind == "MASTER":
            direction = {"I": "O", "O": "I"}[direction]
        others = [(instance, f"{prefix}_{signal}") for instance, prefix in to]
        _port(ports, f"{name}_{signal}", direction, width, others)
        Xml.SubElement(portmaps, "PORTMAP", LOGICAL=signal, PHYSICAL=f"{name}_{signal}")


def _registers(parent: Xml.Element, *, vitis: bool) -> None:
    """The register map; Vitis HLS renames arguments that are Verilog keywords."""

    def properties(element: Xml.Element, **values: object) -> None:
        for name, value in values.items():
            Xml.SubElement(element, "PROPERTY", NAME=name, VALUE=str(value))

    for register in hwh_registers():
        keyword = register.name.rpartition("_")[0] in ("program", "input", "output")
        name = vitis_name(register.name) if vitis and keyword else register.name
        element = Xml.SubElement(parent, "REGISTER", NAME=name)
        properties(element, DESCRIPTION=register.name, ADDRESS_OFFSET=register.offset, SIZE=32,
                   ACCESS=register.access, IS_ENABLED="true")  # fmt: skip
        fields = Xml.SubElement(element, "FIELDS")
        for field in register.fields:
            bits = Xml.SubElement(fields, "FIELD", NAME=field.name)
            properties(bits, DESCRIPTION=field.name, BIT_OFFSET=field.bit,
                       BIT_WIDTH=field.width, ACCESS=field.access)  # fmt: skip

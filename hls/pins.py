"""A wrapper that gives the Verilog of Vitis HLS the port names of the SystemVerilog core.

Vitis writes AXI signals in capitals (`m_axi_gmem_AWVALID`), the SystemVerilog core in small
letters, and IP packagers take both; the cocotb bench has one spelling.
"""

import re

from penstock.hls.sources import TOP, HlsError

_PORT = re.compile(r"^\s*(input|output)\s+wire\s+(\[[^\]]+\])?\s*(\w+),?\s*$", re.MULTILINE)
_AXI = re.compile(r"((?:s_axi_control|m_axi_gmem)_)(\w+)")


def wrapper(name: str, top_text: str, core_text: str) -> str:
    """Module `name` with the ports of rtl/penstock.sv, around a core of another spelling.

    Args:
        name: of the module to write.
        top_text: rtl/penstock.sv, whose ports are wanted.
        core_text: the Verilog with module `penstock`; it decides how its ports are spelled.

    Raises:
        HlsError: the core has not these ports.
    """
    ports = _PORT.findall(top_text.partition(");")[0])
    found = re.search(rf"^module\s+{TOP}\b.*?\);", core_text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise HlsError(f"the Verilog has no module {TOP}")
    head = found[0]
    lines = [f"module {name} ("]
    lines += [",\n".join(f"  {way} wire {width} {port}" for way, width, port in ports), ");"]
    lines += [f"  {TOP} u_core ("]
    lines += [",\n".join(f"    .{spelling(port, head)}({port})" for _, _, port in ports)]
    return "\n".join([*lines, "  );", "endmodule", ""])


def spelling(port: str, head: str) -> str:
    """How the core writes `port`.  HlsError if it does not have it."""
    capitals = _AXI.sub(lambda match: match[1] + match[2].upper(), port)
    for name in (port, capitals):
        if re.search(rf"\b{name}\b", head):
            return name
    raise HlsError(f"the Verilog's module {TOP} has no port {capitals}")

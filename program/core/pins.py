"""The pins of the core, both kinds of core the same: clock, reset, two AXI buses, an interrupt."""

import dataclasses
from collections.abc import Iterator, Mapping


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One port of the top; `driven`: by the core."""

    name: str
    driven: bool
    width: int = 1


def _channel(name: str, payload: Mapping[str, int], *, driven: bool) -> Iterator[Pin]:
    """An AXI channel: its payload and `valid` from one side, `ready` from the other."""
    for field, width in {**payload, "valid": 1}.items():
        yield Pin(name=name + field, driven=driven, width=width)
    yield Pin(name=f"{name}ready", driven=not driven)


_ADDRESS = {"id": 1, "addr": 64, "len": 8, "size": 3, "burst": 2, "lock": 1, "cache": 4, "prot": 3,
            "qos": 4}  # fmt: skip

#: In the order of the port list. The names are those that Vitis HLS gives its cores.
PINS: tuple[Pin, ...] = (
    Pin(name="ap_clk", driven=False),
    Pin(name="ap_rst_n", driven=False),
    *_channel("s_axi_control_aw", {"addr": 8}, driven=False),
    *_channel("s_axi_control_w", {"data": 32, "strb": 4}, driven=False),
    *_channel("s_axi_control_b", {"resp": 2}, driven=True),
    *_channel("s_axi_control_ar", {"addr": 8}, driven=False),
    *_channel("s_axi_control_r", {"data": 32, "resp": 2}, driven=True),
    *_channel("m_axi_gmem_ar", _ADDRESS, driven=True),
    *_channel("m_axi_gmem_r", {"id": 1, "data": 64, "resp": 2, "last": 1}, driven=False),
    *_channel("m_axi_gmem_aw", _ADDRESS, driven=True),
    *_channel("m_axi_gmem_w", {"data": 64, "strb": 8, "last": 1}, driven=True),
    *_channel("m_axi_gmem_b", {"id": 1, "resp": 2}, driven=False),
    Pin(name="interrupt", driven=True),
)


def declarations() -> list[str]:
    """Every pin as a port of Verilog, without what stands between two of them."""
    lines = []
    for pin in PINS:
        vector = f"[{pin.width - 1}:0]" if pin.width > 1 else ""
        lines.append(f"{'output' if pin.driven else 'input':6s} wire {vector:6s} {pin.name}")
    return lines

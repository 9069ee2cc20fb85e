"""The cocotb bench of the core, on Verilog that Vitis HLS wrote for configuration `tiny`.

Without Vitis the way there is tested on a stand-in: the SystemVerilog core under the port names
Vitis gives.
"""

import hashlib
import re
from pathlib import Path

import pytest

from penstock.hls.pins import wrapper
from penstock.hls.sources import TOP, HlsError
from penstock.sim.cocotb.runner import run_bench
from penstock.sim.sources import RTL, build_root, rtl_sources

TESTS = Path(__file__).parents[1]

#: What does not hold for a core of Vitis: it ignores AXI error responses, and it reads its
#: arguments when it needs them, not all at the start.
ONLY = "image/|image$|another_configuration_is_refused|program_without_halt"


def bench_on(rtl: Path, only: str = ONLY) -> None:
    """Run the bench on the Verilog in `rtl`; packages first, the rest by name."""
    sources = sorted([*rtl.glob("*.v"), *rtl.glob("*.sv")])
    text = "\n".join(path.read_text() for path in sources)
    name = f"{TOP}_pins_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    pins = build_root() / "cocotb" / f"{name}.sv"
    pins.parent.mkdir(parents=True, exist_ok=True)
    pins.write_text(wrapper(name, (RTL / f"{TOP}.sv").read_text(), text))
    run_bench(
        TESTS / "rtl" / TOP / "cocotb_penstock.py",
        top=name,
        sources=[*sources, pins],
        paths=[TESTS / "compiler" / "back"],
        only=only,
    )


def in_capitals(folder: Path) -> Path:
    """The SystemVerilog core in `folder`, its AXI ports written as Vitis writes them."""
    for index, path in enumerate(rtl_sources("tiny")):
        text = path.read_text()
        if path.stem == TOP:
            text = re.sub(
                r"\b(s_axi_control|m_axi_gmem)_(\w+)(?=,?\n)",
                lambda match: f"{match[1]}_{match[2].upper()}",
                text.partition(");")[0],
            ) + _assigned(text)
        (folder / f"{index:02}_{path.name}").write_text(text)
    return folder


def _assigned(text: str) -> str:
    """The body of the top, its own ports in capitals; those of its units stand after a dot."""
    _, end, body = text.partition(");")
    return end + re.sub(
        r"(?<![.\w])(s_axi_control|m_axi_gmem)_(\w+)",
        lambda match: f"{match[1]}_{match[2].upper()}",
        body,
    )


def test_given_rtl(request: pytest.FixtureRequest) -> None:
    rtl = request.config.getoption("--rtl-dir")
    if rtl is None:
        pytest.skip("no Verilog of Vitis HLS: make sim-hls RTL_DIR=...")
    bench_on(rtl)


@pytest.mark.long
def test_stand_in(tmp_path: Path) -> None:
    bench_on(in_capitals(tmp_path), only="program_without_halt|image/idle=none/back_pressure=none")


def test_a_missing_port_is_named() -> None:
    top = (RTL / f"{TOP}.sv").read_text()
    assert ".ap_clk(ap_clk)" in wrapper("pins", top, top)
    with pytest.raises(HlsError, match="has no port m_axi_gmem_AWVALID"):
        wrapper("pins", top, top.replace("m_axi_gmem_awvalid", "other"))
    with pytest.raises(HlsError, match="no module penstock"):
        wrapper("pins", top, "module other (); endmodule")

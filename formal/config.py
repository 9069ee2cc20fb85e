"""The configuration of the proofs: few channels, everything else small."""

from pathlib import Path

from penstock.program.base.files import write_text
from penstock.program.core.config import HwConfig
from penstock.program.generate.systemverilog import config_text
from penstock.sim.sources import build_root

FORMAL = HwConfig(
    name="formal",
    p_oc=2,
    p_px=4,
    min_rows=1,
    fmem_bytes=64,
    wbuf_bytes=64,
    gate_mem_bytes=256,
    score_depth=32,
    max_channels=16,
    n_lists=2,
    pool_depth=16,
    max_outstanding=4,
)


def package() -> Path:
    """Its SystemVerilog package, written if it is not there as it has to be."""
    path, text = build_root() / "formal" / f"ps_cfg_{FORMAL.name}.sv", config_text(FORMAL)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return path

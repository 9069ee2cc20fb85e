"""What the HLS core takes of a device, counted before it is emitted."""

import re

import pytest

from penstock.boards import load_board
from penstock.hls.project import stored_in
from penstock.hls.resources import (
    BRAM18_SHAPES,
    DESCRIPTORS,
    POOL_PARTS,
    Memory,
    estimate,
    memories,
    require_fit,
)
from penstock.hls.sources import SOURCE_DIR, HlsError, Types, headers, sources
from penstock.program.config import get_config

TEXT = "\n".join(path.read_text() for path in (*sources(), *headers(Types.AP)))


@pytest.mark.parametrize("config", ["z7020", "z7020x2"])
def test_the_cores_of_the_7020_fit(config: str) -> None:
    board = load_board("pynq-z2")
    found = require_fit(get_config(config), board.name, board.resources)
    assert found.dsp <= 210
    assert found.bram18 <= 280
    assert found.uram == 0


@pytest.mark.parametrize(
    "config, board, kind", [("zu5ev", "pynq-z2", "BRAM18"), ("zcu104", "zcu104", "BRAM18")]
)
def test_a_core_that_does_not_fit_is_refused(config: str, board: str, kind: str) -> None:
    on = load_board(board)
    with pytest.raises(HlsError, match=rf"{config} takes about [\d,]+ {kind}.*{board} has"):
        require_fit(get_config(config), on.name, on.resources)


def test_too_few_multipliers() -> None:
    resources = {"dsp": 204, "bram36": 140, "uram": 0}
    with pytest.raises(HlsError, match=r"takes about 205 DSP .* x has 204"):
        require_fit(get_config("z7020"), "x", resources)


def test_a_large_gate_memory_takes_ultraram() -> None:
    board = load_board("kv260")
    found = require_fit(get_config("zu5ev"), board.name, board.resources)
    assert found.storage["gmem"] == "uram"
    assert found.storage["fmem"] == "bram"
    assert 0 < found.uram <= board.resources["uram"]


def test_blocks() -> None:
    """By hand: 2 KiB of bytes fill one RAMB18; 2048 x 64 needs eight 2K x 9."""
    assert Memory(name="", banks=1, words=2048, bits=8).blocks(BRAM18_SHAPES) == 1
    assert Memory(name="", banks=2, words=2048, bits=64).blocks(BRAM18_SHAPES) == 16
    assert Memory(name="", banks=1, words=512, bits=36).blocks(BRAM18_SHAPES) == 1


def test_every_memory_is_one_of_the_source() -> None:
    """Names are those that BIND_STORAGE has; only small memories have none of their own."""
    bound = set(re.findall(r"BIND_STORAGE variable=([\w.]+) type=ram_s2p impl=bram", TEXT))
    assert bound | {"scores"} == {memory.name for memory in memories(get_config("z7020"))}
    block, cached = (int(re.search(rf" {n} = (\d+);", TEXT)[1]) for n in ("BLOCK", "CACHED"))  # type: ignore[index]
    assert block * cached == DESCRIPTORS
    assert f"PARTS = {POOL_PARTS};" in TEXT


def test_storage_is_put_into_the_source() -> None:
    storage = estimate(get_config("zu5ev"), 64).storage
    text = (SOURCE_DIR / "penstock.cpp").read_text()
    changed = stored_in(text, storage)
    assert "BIND_STORAGE variable=gmem type=ram_s2p impl=uram\n" in changed
    assert changed.replace("impl=uram", "impl=bram") == text

"""What the HLS core takes of a device, counted before it is emitted."""

import dataclasses
import re

import pytest

from penstock.boards import board_names, load_board
from penstock.hls.project import bound
from penstock.hls.resources import (
    DESCRIPTORS,
    POOL_PARTS,
    Memory,
    estimate,
    memories,
    multipliers,
    require_fit,
)
from penstock.hls.sources import SOURCE_DIR, HlsError, Types, headers, sources
from penstock.program.core.config import get_config

TEXT = "\n".join(path.read_text() for path in (*sources(), *headers(Types.AP)))


@pytest.mark.parametrize("config", ["z7020", "z7020x2"])
def test_the_cores_of_the_7020_fit(config: str) -> None:
    board = load_board("pynq-z2")
    found = require_fit(get_config(config), board.name, board.resources)
    assert found.dsp <= 210
    assert found.bram18 <= 280
    assert found.uram == 0


@pytest.mark.parametrize(
    "config, board, kind",
    [("zu5ev", "pynq-z2", "BRAM18"), ("zcu104", "kv260", "BRAM18"), ("zcu104", "pynq-z2", "DSP")],
)
def test_a_core_that_does_not_fit_is_refused(config: str, board: str, kind: str) -> None:
    on = load_board(board)
    with pytest.raises(HlsError, match=rf"{config} takes about [\d,]+ {kind}.*{board} has"):
        require_fit(get_config(config), on.name, on.resources)


@pytest.mark.parametrize(
    "change, hint",
    [
        ({"fmem_bytes": 1 << 20}, "656 BRAM18 .* fmem_bytes makes 512 of them"),
        ({"n_lists": 32}, "n_lists x max_channels makes 256 of them"),
        ({"p_oc": 16, "p_px": 32, "min_rows": 4}, "632 DSP .* p_oc x p_px makes 512 of them"),
    ],
)
def test_what_is_too_large_is_named(change: dict[str, int], hint: str) -> None:
    config = dataclasses.replace(get_config("z7020"), name="large", **change)
    board = load_board("pynq-z2")
    with pytest.raises(HlsError) as error:
        require_fit(config, board.name, board.resources)
    assert re.search(hint, f"{error.value}"), str(error.value)


def test_too_few_multipliers() -> None:
    resources = {"dsp": 207, "bram36": 140, "uram": 0}
    with pytest.raises(HlsError, match=r"takes about 208 DSP .* x has 207"):
        require_fit(get_config("z7020"), "x", resources)


def test_a_large_gate_memory_takes_ultraram() -> None:
    board = load_board("kv260")
    found = require_fit(get_config("zu5ev"), board.name, board.resources)
    assert found.storage["gmem"] == "uram"
    assert found.storage["fmem"] == "bram"
    assert 0 < found.uram <= board.resources["uram"]


@pytest.mark.parametrize("name", board_names())
def test_a_board_has_room_for_the_core_of_each_of_its_configurations(name: str) -> None:
    board = load_board(name)
    for config in board.configs:
        found = require_fit(get_config(config), name, board.resources)
        assert found.uram <= board.resources["uram"]


def test_byte_wide_banks_share_the_words_of_an_ultraram() -> None:
    """32 KiB a bank: an UltraRAM of 4096 words of eight rows; byte-wide it would be eight."""
    board = load_board("zcu104")
    found = require_fit(get_config("zcu104"), board.name, board.resources)
    assert (found.storage["fmem"], found.storage["wbuf"]) == ("uram", "bram")
    assert found.words == {"fmem": 8}
    assert found.uram == 64 + 2 * 8  # and two banks of 32768 words for gates
    text = (SOURCE_DIR / "penstock.cpp").read_text()
    reshape = "#pragma HLS ARRAY_RESHAPE variable=fmem cyclic factor=8 dim=1\n"
    changed = bound(text, found)
    assert f"BIND_STORAGE variable=fmem type=ram_s2p impl=uram\n{reshape}" in changed
    assert changed.replace(reshape, "").replace("impl=uram", "impl=bram") == text


@pytest.mark.parametrize("room, place", [(239, "fabric"), (240, "dsp")])
def test_products_of_gates_are_where_there_is_room(room: int, place: str) -> None:
    resources = load_board("ultra96v2").resources | {"dsp": room}
    found = require_fit(get_config("z7020"), "x", resources)
    assert found.dsp == (240 if place == "dsp" else 208)
    gate = bound((SOURCE_DIR / "ps_gate.cpp").read_text(), found)
    assert f"BIND_OP variable=gate_product op=mul impl={place}\n" in gate
    array = (SOURCE_DIR / "ps_array.cpp").read_text()
    assert bound(array, found) == array


def test_every_operator_is_one_of_the_source() -> None:
    found = estimate(get_config("z7020"), load_board("pynq-z2").resources)
    names = re.findall(r"BIND_OP variable=(\w+) op=mul impl=(?:dsp|fabric)\n", TEXT)
    assert sorted(names) == sorted(found.operators)
    assert len(re.findall(r" (?:array|pair|gate)_product = ", TEXT)) == len(names)
    assert multipliers(get_config("z7020"))["gate products"] == 0


def test_blocks() -> None:
    """By hand: 2 KiB of bytes fill one RAMB18; 2048 x 64 needs eight 2K x 9."""
    assert Memory(name="", banks=1, words=2048, bits=8).bram18 == 1
    assert Memory(name="", banks=2, words=2048, bits=64).bram18 == 16
    assert Memory(name="", banks=1, words=512, bits=36).bram18 == 1
    assert Memory(name="", banks=1, words=32768, bits=8).uram == 8
    assert Memory(name="", banks=3, words=32768, bits=8, packed=8).uram == 3
    assert Memory(name="", banks=1, words=8192, bits=64).uram == 2


def test_every_memory_is_one_of_the_source() -> None:
    """Names are those that BIND_STORAGE has."""
    names = set(re.findall(r"BIND_STORAGE variable=([\w.]+) type=ram_s2p impl=bram", TEXT))
    assert names == {memory.name for memory in memories(get_config("z7020"))}
    block, cached = (int(re.search(rf" {n} = (\d+);", TEXT)[1]) for n in ("BLOCK", "CACHED"))  # type: ignore[index]
    assert block * cached == DESCRIPTORS
    assert f"PARTS = {POOL_PARTS};" in TEXT


def test_every_memory_is_counted_or_small() -> None:
    """A static array is bound to block RAM, or to LUTs, or all of it is registers."""
    for name in re.findall(r"^ +static [\w:]+ (\w+)[;\[]", TEXT, re.M):
        pragmas = re.findall(rf"#pragma HLS (\w+) variable={name}\b(.*)", TEXT)
        whole = any(kind == "ARRAY_PARTITION" and "dim=" not in rest for kind, rest in pragmas)
        assert whole or "BIND_STORAGE" in dict(pragmas) or name in ("cache", "fetch"), name


def test_storage_is_put_into_the_source() -> None:
    found = estimate(get_config("zu5ev"), load_board("kv260").resources)
    text = (SOURCE_DIR / "penstock.cpp").read_text()
    changed = bound(text, found)
    assert "BIND_STORAGE variable=gmem type=ram_s2p impl=uram\n" in changed
    assert changed.replace("impl=uram", "impl=bram") == text

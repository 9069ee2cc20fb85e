"""The board files: complete, consistent, and refused when they are not."""

import dataclasses
from pathlib import Path

import pytest

from penstock.boards import BoardError, board_names, load_board
from penstock.boards.board import FOLDER
from penstock.program.core.config import CONFIGS

BOARDS = ("kv260", "pynq-z1", "pynq-z2", "ultra96v2", "zcu104")


def test_the_five_boards() -> None:
    assert board_names() == BOARDS


@pytest.mark.parametrize("name", BOARDS)
def test_board_is_complete(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.part.startswith("xc7z" if board.family == "zynq7" else ("xczu", "xck26"))
    assert board.resources["dsp"] >= 220
    assert board.axi_bits == 64
    # PYNQ 4 dropped Zynq-7000.
    assert board.pynq == "3.1.2" if board.family == "zynq7" else board.pynq in ("3.0", "4")


@pytest.mark.parametrize("name", BOARDS)
def test_documents_say_the_same(name: str, repository: Path) -> None:
    board = load_board(name)
    r = board.resources
    cells = [f"`{name}`", board.part, f"{r['dsp']:,}", f"{r['bram36']}", f"{r['uram']}"]
    cells += [f"{r['lut']:,}"]
    clocks = ", ".join(f"`{config}` {mhz}" for config, mhz in board.rtl_mhz.items())
    cells += [clocks, str(board.hls_mhz)]
    row = "| " + " | ".join(cells) + " |"
    assert row in (repository / "docs" / "boards.md").read_text()
    assert board.title.split()[-1] in (repository / "docs" / "host.md").read_text()


def test_unknown_board() -> None:
    with pytest.raises(BoardError, match=r"unknown board 'zedboard'; one of kv260, pynq-z1"):
        load_board("zedboard")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("family: zynq7\n", "", "missing or unknown: family"),
        ("family: zynq7\n", "family: versal\n", "family 'versal', one of zynq7, zynqmp"),
        ("hls_mhz", "mhz", "missing or unknown: hls_mhz, mhz"),
        ("tiny: 100}", "zu5ev: 100}", "rtl_mhz must have tiny, z7020, z7020x2"),
        ("{z7020: 125, z7020x2: 125, tiny: 100}", "125", "rtl_mhz must have tiny, z7020"),
        ("z7020x2: 125", "z7020x2: 128", r"rtl_mhz.z7020x2 is 128, no whole fraction of the 1000"),
        ("hls_mhz: 100", "hls_mhz: fast", r"hls_mhz is fast, no whole fraction"),
        ("hls_mhz: 100", "hls_mhz: 0", r"hls_mhz is 0, no whole fraction"),
        ("[z7020, z7020x2, tiny]", "[z9999]", "unknown configuration 'z9999'"),
        ("uram: 0, ", "", "resources must have bram36, dsp, lut, uram"),
        ("name: pynq-z2", "name: [", "is not YAML"),
    ],
)
def test_damaged_board_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (FOLDER / "pynq-z2.yaml").read_text()
    assert old in text
    (tmp_path / "pynq-z2.yaml").write_text(text.replace(old, new))
    with pytest.raises(BoardError, match=message):
        load_board("pynq-z2", tmp_path)


def test_configuration_that_is_not_built() -> None:
    board = load_board("pynq-z2")
    with pytest.raises(BoardError, match="'zcu104' is not built for pynq-z2; one of z7020"):
        board.require(CONFIGS["zcu104"])
    board.require(CONFIGS["z7020"])
    board.require(dataclasses.replace(CONFIGS["zcu104"], name="mine"))  # the user's own

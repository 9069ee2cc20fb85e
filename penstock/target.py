"""What a network is compiled for: a board, or a hardware configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import InputError
from penstock.program.base.optional import require
from penstock.program.core.config import CONFIGS, HwConfig
from penstock.program.core.hardware import NAMES, hardware, is_file

if TYPE_CHECKING:
    from penstock.boards.board import Board

#: Board whose clock counts where only a configuration is known that no board is built with.
DEFAULT_BOARD = "pynq-z2"


def resolve_target(target: str | Path | HwConfig) -> tuple[HwConfig, Board | None]:
    """The configuration of a target, and the board if it is one: its first configuration.

    Raises:
        InputError: neither a board nor a configuration has that name.
        ConfigError: a YAML file does not describe a configuration.
    """
    if isinstance(target, HwConfig):
        return target, None
    target = str(target)
    if target in CONFIGS or is_file(target):
        return hardware(target), None
    boards = require("penstock.boards.board")
    if target not in boards.board_names():
        raise InputError(
            f"unknown target '{target}'",
            hint=f"a board: {', '.join(boards.board_names())}; or a configuration: {NAMES}",
        )
    board: Board = boards.load_board(target)
    return CONFIGS[board.configs[0]], board


def clock_of(config: HwConfig, board: str | Board | None) -> float:
    """MHz of the RTL core on a board; without one, on the first with the configuration."""
    boards = require("penstock.boards.board")
    if board is None:
        known = [boards.load_board(name) for name in boards.board_names()]
        default = boards.load_board(DEFAULT_BOARD)
        board = next((b for b in (default, *known) if config.name in b.configs), default)
    elif isinstance(board, str):
        board = boards.load_board(board)
    return float(board.clock("rtl", config.name))  # type: ignore[union-attr]

"""Boards: one YAML file each, and the Tcl that builds a bitstream for them."""

from penstock.boards.board import Board, BoardError, board_names, load_board

__all__ = ["Board", "BoardError", "board_names", "load_board"]

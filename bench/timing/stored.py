"""bench/results/timing.json: what the last timing run said of every core, keyed by its sources."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.bench.figures import RESULTS
from penstock.bench.synthesis import yosys
from penstock.bench.timing.delays import delays_of
from penstock.bench.timing.report import Pair, Report
from penstock.boards.board import Board, board_names, load_board
from penstock.program.base.errors import PenstockError

STORED = RESULTS / "timing.json"

#: The setting whose fmax a board's clock must not exceed.
SETTING = "middle"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One configuration: the key of the sources it was made from, a report for each delays."""

    key: str
    reports: Mapping[str, Report]


def needed() -> dict[str, tuple[str, ...]]:
    """Configuration -> delays that its boards need, from boards/*.yaml."""
    found: dict[str, set[str]] = {}
    for board in map(load_board, board_names()):
        for config in board.configs:
            found.setdefault(config, set()).add(delays_of(board.part))
    return {config: tuple(sorted(names)) for config, names in sorted(found.items())}


def load(path: Path = STORED) -> dict[str, Core]:
    """By configuration.

    Raises:
        PenstockError: there is no such file.
    """
    if not path.is_file():
        raise PenstockError(f"cannot read {path}: no such file", hint="make timing")
    cores = {}
    for name, core in json.loads(path.read_text(encoding="utf-8")).items():
        reports = {delays: _report(data) for delays, data in core["reports"].items()}
        cores[name] = Core(key=core["key"], reports=reports)
    return cores


def _report(data: dict[str, Any]) -> Report:
    pairs = [
        Pair(**pair | {"cells": tuple(pair["cells"]), "lines": tuple(pair["lines"])})
        for pair in data["pairs"]
    ]
    bins = tuple((start, number) for start, number in data["histogram"])
    return Report(**data | {"pairs": tuple(pairs), "histogram": bins})


def save(cores: Mapping[str, Core], path: Path = STORED) -> None:
    """Writes the file."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(dataclasses.asdict(core), sort_keys=True)}"
        for name, core in sorted(cores.items())
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def stale(cores: Mapping[str, Core]) -> tuple[str, ...]:
    """Configurations that were not timed as they are now, or not with a board's delays."""
    return tuple(
        name
        for name, delays in needed().items()
        if name not in cores
        or cores[name].key != yosys.key(name)
        or not set(delays) <= set(cores[name].reports)
    )


def fmax(cores: Mapping[str, Core], config: str, board: Board, setting: str = SETTING) -> float:
    """MHz that the estimate supports for a core on a board.

    Raises:
        PenstockError: it was not timed.
    """
    name = delays_of(board.part)
    if config not in cores or name not in cores[config].reports:
        raise PenstockError(
            f"{config} was not timed with the delays '{name}' of {board.name}", hint="make timing"
        )
    return cores[config].reports[name].fmax[setting]


def too_fast(cores: Mapping[str, Core]) -> Iterator[str]:
    """A line for every board whose clock is above the estimate of one of its timed cores."""
    for board in map(load_board, board_names()):
        for config in board.configs:
            if config not in cores:
                continue  # `stale` names it
            estimate = fmax(cores, config, board)
            clock = board.rtl_mhz[config]
            if clock > estimate:
                field = f"{board.name}: rtl_mhz.{config}, {clock}"
                yield f"{field}, is above the estimate, {estimate:.1f} MHz"

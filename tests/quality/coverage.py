"""What Verilator counted of the core, by module, and the rules it is held to.

A *point* is a place that Verilator counts: a block, an arm of an `if`, `case` or `?:` (one that is
not written included), or one direction of one bit of a signal.  Points of the instances of a
module, and of several runs and configurations, are one: it is hit if it was hit anywhere.

- A line is hit if every block and every arm on it is.
- A branch is an arm of an `if` or `?:`; a toggle is a bit that went up, or down.

Assertions (`ifndef SYNTHESIS`) and packages do not count.  coverage.yaml names the lines
that cannot be reached, each with a reason, and the least share of toggles of each module.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from penstock.program.base.errors import PenstockError

#: Share of the lines, and of the branches, of a module that has to be hit.
LINE_FLOOR = 0.95

#: Files of rtl/ that are no modules.
PACKAGES = frozenset({"ps_pkg.sv", "ps_types.sv"})


class CoverageError(PenstockError):
    """The rules in coverage.yaml, or a file of counts, cannot be used."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Point:
    """A place in a file: `kind` is line, branch or toggle; `lines` are those of a block."""

    file: str
    line: int
    column: int
    kind: str
    name: str
    lines: tuple[int, ...] = ()


Counts = Mapping[Point, int]


def read_counts(paths: Iterable[Path], rtl: Path) -> dict[Point, int]:
    """The sums of several runs, of the sources directly in the folder `rtl`.

    Raises:
        CoverageError: a file is not one of Verilator's.
    """
    counts: dict[Point, int] = {}
    for path in paths:
        for number, text in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
            if number == 1 and not text.startswith("# SystemC::Coverage"):
                raise CoverageError("it has no counts of Verilator", str(path))
            if text.startswith("C "):
                point, count = _parse(text, f"{path}:{number}", rtl)
                if point is not None:
                    counts[point] = counts.get(point, 0) + count
    return counts


def _parse(text: str, where: str, rtl: Path) -> tuple[Point | None, int]:
    """A line `C '\\x01key\\x02value...' count`; no point for a file that is not looked at."""
    match = re.fullmatch(r"C '(.*)' (\d+)", text)
    if match is None:
        raise CoverageError("it has a line that is no count", where)
    fields = dict(part.split("\x02", 1) for part in match[1].split("\x01")[1:])
    path = Path(fields["f"])
    if path.parent != rtl or path.name in PACKAGES:
        return None, 0
    kind = fields["page"].removeprefix("v_").split("/")[0]
    point = Point(
        file=path.name,
        line=int(fields["l"]),
        column=int(fields["n"]),
        kind=kind,
        name=fields["o"],
        lines=tuple(_ranges(fields.get("S", ""))),
    )
    return point, int(match[2])


def _ranges(text: str) -> Iterator[int]:
    """The numbers of "3,5-7"."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def assertion_lines(source: str) -> set[int]:
    """Numbers of the lines from an `ifndef SYNTHESIS to its `endif."""
    found: set[int] = set()
    inside = False
    for number, line in enumerate(source.splitlines(), 1):
        inside = inside or line.strip() == "`ifndef SYNTHESIS"
        if inside:
            found.add(number)
        if line.strip() == "`endif":
            inside = False
    return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Lines of `file` that hold the text `line` do not count, because of `reason`."""

    file: str
    line: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """coverage.yaml: exclusions, and the least share of toggles by module."""

    exclusions: tuple[Exclusion, ...]
    toggle_floors: dict[str, float]


def read_rules(path: Path) -> Rules:
    """The rules in a file.

    Raises:
        CoverageError: an entry lacks something.
    """
    data = yaml.safe_load(path.read_text())
    exclusions = []
    for entry in data["exclusions"]:
        if set(entry) != {"file", "line", "reason"} or not all(map(str.strip, entry.values())):
            raise CoverageError(f"an exclusion has file, line and reason: {entry}", str(path))
        exclusions.append(Exclusion(**entry))
    floors = {str(module): float(share) for module, share in data["toggle_floors"].items()}
    return Rules(exclusions=tuple(exclusions), toggle_floors=floors)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """(hit, total) of a module; `missed` are its blocks and arms that were not, as text."""

    name: str
    lines: tuple[int, int]
    branches: tuple[int, int]
    toggles: tuple[int, int]
    excluded: int  # lines
    missed: tuple[str, ...]


def modules(
    counts: Counts, sources: Mapping[str, str], rules: Rules
) -> tuple[list[Module], list[str]]:
    """Every module by name, and what is wrong with the exclusions.

    Args:
        counts: what was counted.
        sources: text by file name, of every module.
        rules: what does not count.
    """
    found, problems = [], []
    excluded: dict[str, set[int]] = {name: set() for name in sources}
    for rule in rules.exclusions:
        lines, problem = _excluded(rule, counts, sources)
        problems += problem
        excluded.get(rule.file, set()).update(lines)
    for name in sorted(sources):
        ignored = assertion_lines(sources[name]) | excluded[name]
        points = {
            point: count
            for point, count in counts.items()
            if point.file == name and not ignored.issuperset(point.lines or (point.line,))
        }
        found.append(_module(name, points, ignored, len(excluded[name])))
    return found, problems


def _excluded(
    rule: Exclusion, counts: Counts, sources: Mapping[str, str]
) -> tuple[set[int], list[str]]:
    """The lines an exclusion names; a line for a text that is nowhere or in a line that is hit."""
    what = f"{rule.file}, '{rule.line}'"
    text = sources.get(rule.file, "").splitlines()
    lines = {number for number, line in enumerate(text, 1) if rule.line in line}
    if not lines:
        return lines, [f"exclusion {what}: there is no such line"]
    hit = []
    for number in sorted(lines):
        points = [n for p, n in counts.items() if p.file == rule.file and _counts_on(p, number)]
        if all(points):  # also where nothing is counted
            hit.append(f"exclusion {what}: line {number} is hit, or has nothing to hit")
    return lines, hit


def _counts_on(point: Point, number: int) -> bool:
    return point.kind != "toggle" and number in (point.lines or (point.line,))


def _module(name: str, points: Counts, ignored: set[int], excluded: int) -> Module:
    """Sums of the points of one file."""
    lines: dict[int, bool] = {}
    shares = {"branch": [0, 0], "toggle": [0, 0], "line": [0, 0]}
    missed = []
    for point, count in sorted(points.items()):
        shares[point.kind][0] += count > 0
        shares[point.kind][1] += 1
        if point.kind == "toggle":
            continue
        for number in set(point.lines) - ignored:
            lines[number] = lines.get(number, True) and count > 0
        if not count:
            missed.append(f"{name}:{point.line}:{point.column} {point.name}")
    return Module(
        name=name.removesuffix(".sv"),
        lines=(sum(lines.values()), len(lines)),
        branches=(shares["branch"][0], shares["branch"][1]),
        toggles=(shares["toggle"][0], shares["toggle"][1]),
        excluded=excluded,
        missed=tuple(missed),
    )


def share(pair: tuple[int, int]) -> float:
    """Hit / total; 1 of nothing."""
    return pair[0] / pair[1] if pair[1] else 1.0


def failures(found: Iterable[Module], rules: Rules) -> Iterator[str]:
    """A line for every floor that a module misses, and for floors and modules without the other."""
    names = []
    for module in found:
        names.append(module.name)
        for what, pair in (("lines", module.lines), ("branches", module.branches)):
            if share(pair) < LINE_FLOOR:
                missed = ", ".join(module.missed)
                yield f"{module.name}: {share(pair):.1%} of its {what} are hit; not: {missed}"
        floor = rules.toggle_floors.get(module.name)
        if floor is None:
            yield f"{module.name}: no floor for its toggles"
        elif share(module.toggles) < floor:
            yield f"{module.name}: {share(module.toggles):.1%} of its toggles, at least {floor:.0%}"
        if not module.toggles[1]:
            yield f"{module.name}: nothing was counted"
    for name in sorted(set(rules.toggle_floors) - set(names)):
        yield f"{name}: a floor for toggles, but no such module"


def as_json(found: Iterable[Module], rules: Rules) -> dict[str, Any]:
    """For bench/results/coverage.json."""
    return {
        "line_floor": LINE_FLOOR,
        "modules": [
            {
                "name": module.name,
                "lines": list(module.lines),
                "branches": list(module.branches),
                "toggles": list(module.toggles),
                "toggle_floor": rules.toggle_floors.get(module.name, 0.0),
                "excluded_lines": module.excluded,
            }
            for module in found
        ],
    }

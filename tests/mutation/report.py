"""The report of `make mutate`, and its table in docs/verification.md.

python -m tests.mutation.report            puts the table of the stored run into the document
python -m tests.mutation.report --check    exit code 1 if the document is not current
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.bench.figures import RESULTS
from penstock.bench.tables.documents import update_document
from tests.mutation.runs import CHECKS
from tests.mutation.sites import Mutant

ROOT = Path(__file__).resolve().parents[2]
STORE = RESULTS / "mutation.json"
DOCUMENT = ROOT / "docs" / "verification.md"

#: Share of the mutants that are not equivalent to the core that has to be killed.
FLOOR = 0.95

#: What becomes of a mutant, in the order of the table: the regression's checks, then the others.
ENDS = (*(name for name in CHECKS if name != "none"), "bench", "proof", "equivalent", "open")

#: Those of what survives the regression.
LATER = ENDS[-4:]


def summary(
    rows: list[dict[str, Any]], places: Mapping[str, int], seed: int, seconds: float
) -> dict[str, Any]:
    """What is kept of a run: figures of every unit, and the mutants that survived the regression.

    Args:
        rows: `row` of every mutant.
        places: unit -> mutants there are.
        seed: of the sample.
        seconds: that the run took.
    """
    units = {
        unit: {"places": count, **Counter(row["end"] for row in rows if row["unit"] == unit)}
        for unit, count in sorted(places.items())
    }
    return _totals(units, [row for row in rows if row["end"] in LATER], seed, seconds)


def again(stored: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A kept run with other ends for those that survived its regression (`rows`)."""
    units = {unit: Counter(figures) for unit, figures in stored["units"].items()}
    for old in stored["survivors"]:
        units[old["unit"]][old["end"]] -= 1
    for new in rows:
        units[new["unit"]][new["end"]] += 1
    kept = {
        unit: {end: count for end, count in figures.items() if count}
        for unit, figures in units.items()
    }
    return _totals(kept, rows, stored["seed"], stored["seconds"])


def _totals(
    units: Mapping[str, Mapping[str, int]],
    survivors: list[dict[str, Any]],
    seed: int,
    seconds: float,
) -> dict[str, Any]:
    """The figures of all units."""
    ends = {end: sum(figures.get(end, 0) for figures in units.values()) for end in ENDS}
    mutants, killed = sum(ends.values()), sum(ends[end] for end in ENDS[:-2])
    return {
        "seed": seed,
        "mutants": mutants,
        "places": sum(figures["places"] for figures in units.values()),
        "seconds": round(seconds),
        "killed": killed,
        "equivalent": ends["equivalent"],
        "score": killed / max(mutants - ends["equivalent"], 1),
        "ends": ends,
        "units": units,
        "survivors": survivors,
    }


def row(mutant: Mutant, end: str, detail: str) -> dict[str, Any]:
    """One mutant in the report; `detail`: what noticed it, or why nothing can."""
    return {
        "mutant": mutant.key,
        "unit": mutant.unit,
        "line": mutant.line,
        "kind": mutant.kind,
        "end": end,
        "detail": detail,
    }


def difference(mutant: Mutant, source: str) -> str:
    """The line of a mutant's source before and after, as a diff."""
    line = source.splitlines()[mutant.line - 1].strip()
    return f"  rtl/{mutant.unit}.sv:{mutant.line}: {line}\n  - {mutant.old}\n  + {mutant.new}"


def table(stored: Mapping[str, Any]) -> Iterator[str]:
    """The document's table."""
    ends = stored["ends"]
    yield (
        f"`make mutate N={stored['mutants']} SEED={stored['seed']}`, rtl-sim of `tiny`: "
        f"{stored['mutants']} of {stored['places']:,} mutants, {stored['killed']} killed, "
        f"{stored['equivalent']} equivalent, {ends['open']} neither: "
        f"{stored['score']:.1%} of those that are not equivalent, {ends['cycles']} of them by their"
        " cycles alone."
    )
    yield ""
    yield "| unit | places | mutants | " + " | ".join(ENDS) + " |"
    yield "|---|" + "---:|" * (len(ENDS) + 2)
    for unit, figures in stored["units"].items():
        counts = [figures.get(end, 0) for end in ENDS]
        cells = [figures["places"], sum(counts), *(count or "" for count in counts)]
        yield f"| `{unit}` | " + " | ".join(map(str, cells)) + " |"
    cells = [stored["places"], stored["mutants"], *(ends.get(end, 0) for end in ENDS)]
    yield "| all | " + " | ".join(map(str, cells)) + " |"


def tables() -> dict[str, str]:
    """The table by the name of its markers."""
    return {"mutation": "\n".join(table(json.loads(STORE.read_text())))}


def main(arguments: list[str] | None = None) -> int:
    """Rewrite or check the document."""
    check = "--check" in (sys.argv[1:] if arguments is None else arguments)
    stale = update_document(DOCUMENT, tables(), "python -m tests.mutation.report", check=check)
    return int(stale and check)


if __name__ == "__main__":
    sys.exit(main())

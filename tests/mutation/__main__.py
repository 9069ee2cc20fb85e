"""`make mutate`: seeded mutants of the core, and what notices each.

The native regression first (runs.py); what survives it and has no reason in explained.yaml goes to
the unit's cocotb bench and its fast formal tasks (benches.py).  What nothing kills is listed; exit
code 1 if a reason is missing or wrong, or too few are killed.
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from penstock.sim.sources import PACKAGES, RTL, rtl_sources
from tests.mutation import explained, report
from tests.mutation.benches import fails_bench, fails_proof
from tests.mutation.runs import CONFIG, build, run_all
from tests.mutation.sites import Mutant, mutants_of, sample


def every_mutant() -> list[Mutant]:
    """All mutants of all modules of the core; the packages have no logic."""
    return [mutant for path in rtl_sources(CONFIG)[PACKAGES:] for mutant in mutants_of(path)]


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--mutants", type=int, default=120, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--match", default="", help="only mutants whose key has this text in it")
    parser.add_argument("--no-benches", action="store_true", help="the native regression alone")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/mutation/report.json"))
    parser.add_argument(
        "--again",
        type=Path,
        metavar="REPORT",
        help="only what survived the regression of that run: the benches, the reasons",
    )
    options = parser.parse_args()
    mutants = {mutant.key: mutant for mutant in every_mutant()}
    reasons = explained.load()
    if problems := explained.unknown(reasons, mutants):
        print("\n".join(problems))
        return 1
    if options.again:
        stored = json.loads(options.again.read_text())
        names = [row["mutant"] for row in stored["survivors"]]
        if gone := [name for name in names if name not in mutants]:
            print("the core has changed, run all again; no such mutant:", *gone, sep="\n")
            return 1
        chosen = [mutants[name] for name in names]
        rows = [_later(mutant, reasons, benches=True) for mutant in chosen]
        found = report.again(stored, rows)
    else:
        rows, found = _run(list(mutants.values()), reasons, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    return _judge(found, rows, mutants, reasons)


def _run(
    mutants: list[Mutant], reasons: dict[str, str], options: argparse.Namespace
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row of every mutant of the sample, and the summary."""
    began = time.monotonic()
    chosen = sample([m for m in mutants if options.match in m.key], options.mutants, options.seed)
    numbered = dict(enumerate(chosen, 1))
    print(f"{len(chosen)} of {len(mutants)} mutants, seed {options.seed}", flush=True)
    libraries = build(numbered, f"{options.seed}-{len(chosen)}")
    print(f"built in {time.monotonic() - began:.0f} seconds", flush=True)
    verdicts = []
    for verdict in run_all(numbered, libraries, options.jobs):
        verdicts.append(verdict)
        key = numbered[verdict.number].key
        print(f"{verdict.by:<10} {verdict.seconds:6.1f} s  {key[:150]}", flush=True)
    rows = []
    for verdict in verdicts:
        mutant = numbered[verdict.number]
        if verdict.by == "none":
            rows.append(_later(mutant, reasons, benches=not options.no_benches))
        else:
            rows.append(report.row(mutant, verdict.by, f"{verdict.case}: {verdict.detail}"))
    places = Counter(mutant.unit for mutant in mutants)
    return rows, report.summary(rows, places, options.seed, time.monotonic() - began)


def _later(mutant: Mutant, reasons: dict[str, str], *, benches: bool) -> dict[str, Any]:
    """The row of a mutant that survived the regression: what noticed it, or why nothing can."""
    end, detail = _end(mutant, reasons, benches=benches)
    print(f"{end:<10} {mutant.key[:150]}  [{detail}]", flush=True)
    return report.row(mutant, end, detail)


def _end(mutant: Mutant, reasons: dict[str, str], *, benches: bool) -> tuple[str, str]:
    """(one of report.LATER, detail)."""
    if mutant.key in reasons:
        return "equivalent", reasons[mutant.key]
    if benches:
        for end, check in (("bench", fails_bench), ("proof", fails_proof)):
            if by := check(mutant):
                return end, by
    return "open", ""


def _judge(
    found: dict[str, Any],
    rows: list[dict[str, Any]],
    mutants: dict[str, Mutant],
    reasons: dict[str, str],
) -> int:
    """Print what survived and the figures; 1 if that is not good enough."""
    for row in rows:
        if row["end"] in ("equivalent", "open"):
            mutant = mutants[row["mutant"]]
            source = (RTL / f"{mutant.unit}.sv").read_text()
            print(f"\nsurvived, {row['end']}:\n{report.difference(mutant, source)}")
            print(f"  {row['detail'] or 'explain it in ' + str(explained.FILE)}")
    dead = {r["mutant"]: r["end"] for r in rows if r["end"] not in ("equivalent", "open")}
    problems = explained.killed(reasons, dead)
    if found["ends"]["open"]:
        problems.append(f"{found['ends']['open']} survivors without an explanation")
    if found["score"] < report.FLOOR:
        problems.append(f"{found['score']:.1%} killed, wanted are {report.FLOOR:.0%}")
    ends = ", ".join(f"{end} {count}" for end, count in found["ends"].items() if count)
    print(
        f"\n{found['mutants']} mutants: {ends}; {found['killed']} killed, {found['score']:.1%} of"
        f" those that are not equivalent; {found['seconds']} seconds"
    )
    print("\n".join(problems))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

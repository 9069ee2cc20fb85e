"""Cycles and counters of every correct run of the regression workload, as cycles.json has them.

A change of the hardware that costs or saves a cycle anywhere shows here; `python -m
tests.quality.cycles` prints what differs, before and after, and writes the file anew.
"""

import json
import sys
import zlib
from pathlib import Path

from penstock.sim.rtl.build import build_core
from tests.quality.trail import CONFIG, trail
from tests.quality.workload import cases

STORE = Path(__file__).with_name("cycles.json")

#: Case -> [cycles, CRC-32 of the counters of all its images].
Pinned = dict[str, list[int]]


def measured() -> Pinned:
    """Of the core as it is, on `tiny`; runs that end with an error or a cut are left out."""
    correct = {case.name for case in cases() if case.records is not None}
    seen = trail(build_core(CONFIG))
    return {
        name: [cycles, zlib.crc32(counters)]
        for name, (cycles, counters) in seen.items()
        if name in correct
    }


def stored() -> Pinned:
    """What the file says."""
    pinned: Pinned = json.loads(STORE.read_text())
    return pinned


def differences(before: Pinned, after: Pinned) -> list[str]:
    """A line for each case that is new, gone, or has other cycles or counters."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            cycles = [figures[0] if figures else "-" for figures in (old, new)]
            lines.append(f"{name}: {cycles[0]} -> {cycles[1]} cycles")
    return lines


def main() -> int:
    """Write the file; what changed goes to stdout."""
    before, after = stored() if STORE.exists() else {}, measured()
    print("\n".join(differences(before, after)) or "no cycle differs")
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(after[name])}" for name in sorted(after))
    STORE.write_text("{\n" + text + "\n}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

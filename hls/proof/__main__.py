"""`python -m penstock.hls.proof`: what the loops of the HLS core are, and what does not hold."""

import argparse
import sys

from penstock.hls.proof.check import Proof, prove
from penstock.program.base.errors import PenstockError
from penstock.program.core.hardware import NAMES, hardware


def table(proof: Proof) -> str:
    """Markdown: a line a loop."""
    lines = [
        "| loop | iterations known | slowest recurrence, ns | most reads and writes of a memory |",
        "|---|---|---:|---|",
    ]
    for loop in proof.loops:
        uses = ", ".join(f"{use.storage.name} {use.reads} + {use.writes}" for use in loop.uses)
        counted = "yes" if loop.counted else "no"
        lines.append(f"| `{loop.label}` | {counted} | {loop.delay:.2f} | {uses} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table and the findings; exit code 1 if there are any, 2 on bad input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="z7020", metavar="NAME", help=NAMES)
    parser.add_argument("--clock", type=float, default=100.0, metavar="MHZ")
    arguments = parser.parse_args()
    try:
        proof = prove(hardware(arguments.config), 1000 / arguments.clock)
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(proof))
    for finding in proof.findings:
        print(finding)
    return 1 if proof.findings else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""`penstock`: the group of commands and the one place where errors become exit codes."""

import sys
from collections.abc import Sequence

import rich_click as click

from penstock.cli.compile import compile_command
from penstock.cli.demo import demo
from penstock.cli.deploy import deploy
from penstock.cli.disasm import disasm
from penstock.cli.errors import BAD_INPUT, INTERRUPTED, describe, is_user_error
from penstock.cli.estimate import estimate
from penstock.cli.evaluate import evaluate
from penstock.cli.export import export
from penstock.cli.hls import hls
from penstock.cli.search import search
from penstock.cli.simulate import simulate
from penstock.cli.timing import timing
from penstock.cli.train import train
from penstock.program.optional import explained


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="penstock")
def cli() -> None:
    """Gated neural networks on a Zynq accelerator core, proved bit-exact in simulation.

    The whole chain in one command: penstock demo -o build/demo
    """


COMMANDS = (
    train,
    search,
    evaluate,
    export,
    compile_command,
    estimate,
    simulate,
    disasm,
    timing,
    hls,
    demo,
    deploy,
)
for command in COMMANDS:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns the exit code: 0, 1 when engines disagree, 2 on bad input (one line on stderr),
    130 when interrupted.  Anything else that goes wrong is a bug and keeps its traceback.
    """
    try:
        code = cli.main(arguments, prog_name="penstock", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as caught:
        error = explained(caught)
        if not is_user_error(error):
            raise
        print(describe(error), file=sys.stderr)
        return BAD_INPUT
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())

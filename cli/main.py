"""`penstock`: the group of commands and the one place where errors become exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence

import rich_click as click

from penstock.cli.commands.bench import bench
from penstock.cli.commands.bitstream import bitstream
from penstock.cli.commands.compile import compile_command
from penstock.cli.commands.demo import demo
from penstock.cli.commands.deploy import deploy
from penstock.cli.commands.disasm import disasm
from penstock.cli.commands.estimate import estimate
from penstock.cli.commands.evaluate import evaluate
from penstock.cli.commands.export import export
from penstock.cli.commands.hls import hls
from penstock.cli.commands.search import search
from penstock.cli.commands.simulate import simulate
from penstock.cli.commands.timing import timing
from penstock.cli.commands.train import train
from penstock.cli.errors import BAD_INPUT, BROKEN_PIPE, INTERRUPTED, describe
from penstock.cli.outputs import complete, debug_option
from penstock.cli.streams import flush_streams, prepare_streams, silence_stdout
from penstock.program.base.entry import DEBUG_VARIABLE
from penstock.program.base.optional import explained


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
    bitstream,
    demo,
    deploy,
    bench,
)


cli.params.append(debug_option())
for command in COMMANDS:
    cli.add_command(complete(command))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns the exit code: 0, 1 when engines disagree and never else, 2 with one line on stderr
    when anything went wrong, 130 when interrupted, 141 when the reader of stdout has gone.
    `--debug`, or PENSTOCK_DEBUG in the environment, shows the traceback above that line.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    prepare_streams()
    try:
        code = cli.main(words, prog_name="penstock", standalone_mode=False)
        flush_streams()
    except BaseException as error:  # the one outer net
        return _report(error, debug="--debug" in words or bool(os.environ.get(DEBUG_VARIABLE)))
    return code if isinstance(code, int) else 0


def _report(error: BaseException, debug: bool) -> int:
    """Say on one line what went wrong; the exit code."""
    # Rich, which prints the help, leaves by SystemExit where a pipe broke.
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
        silence_stdout()
        return BROKEN_PIPE
    if isinstance(error, SystemExit) and error.code in (None, 0, BAD_INPUT):
        return BAD_INPUT if error.code else 0  # a page of help was printed
    if debug:
        traceback.print_exception(error)
    if isinstance(error, Exception):
        error = explained(error)
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    else:
        print(describe(error), file=sys.stderr)
        code = BAD_INPUT
    silence_stdout()
    return code


if __name__ == "__main__":
    sys.exit(main())

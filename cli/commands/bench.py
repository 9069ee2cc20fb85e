"""`penstock bench`: the measurements behind the documents' figures, each imported when it is run.

A command stands beside what it does, as `main` of a module in bench/: nothing there imports the
command line, and `--help` needs none of what the measurements need.
"""

import copy
from typing import Any

import rich_click as click

from penstock.cli.errors import load
from penstock.cli.outputs import complete

#: Command -> its module in penstock.bench, and what it does.
PROGRAMS = {
    "rows": ("rows.run", "Networks with masks of every kind on the core."),
    "layers": ("rows.layers", "Networks without gates, layer by layer."),
    "several": ("rows.several", "Networks without gates, several images a run."),
    "zoo": ("zoo", "The zoo's trained networks on real images."),
    "logits": ("logits", "A trained network with logits of 8 and of 16 bits."),
    "families": ("families", "Every family of gates, beside itself without gates."),
    "exits": ("exits", "Networks with early exits, with and without."),
    "mlperf": ("mlperf", "MLPerf Tiny's reference networks as they are published."),
    "outside": ("outside", "Which ONNX files of a folder compile as they are."),
    "peers": ("peers.run", "NNgen on the same work; what others have published."),
    "hls": ("hls", "Cycles of the HLS core against the RTL core's."),
    "resources": ("resources", "What a core takes of an FPGA, by Yosys."),
    "timing": ("timing.run", "How fast each core could run, from its netlist."),
    "speed": ("speed", "Cycles of the core that are simulated a second."),
    "tables": ("tables.update", "The documents' tables, from the stored figures."),
    "pictures": ("tables.pictures", "The pictures of docs/images, from the stored figures."),
}


class Programs(click.RichGroup):
    """All of PROGRAMS by name; the one that is asked for is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PROGRAMS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command that has a name and a line of help, and does nothing."""
        known = PROGRAMS.get(cmd_name)
        return known and click.Command(cmd_name, help=known[1])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name, stub, rest = super().resolve_command(ctx, args)
        if stub is None:
            return name, stub, rest
        command = copy.copy(load(f"penstock.bench.{PROGRAMS[stub.name or ''][0]}").main)
        return name, complete(command), rest


@click.command(cls=Programs)
def bench() -> None:
    """Measure again what the documents say.

    Figures are stored in bench/results, tables and pictures written into docs: run these in the
    repository. `make help` says how long most of them take.
    """

"""`penstock disasm`: the program as people read it."""

from pathlib import Path

import rich_click as click

from penstock.cli.compiled import load_network


@click.command(
    epilog="""Examples:\n
    penstock disasm build/net\n
    penstock disasm build/net | grep CONV
    """
)
@click.argument("network", type=click.Path(path_type=Path))
def disasm(network: Path) -> None:
    """Print the listing of a compiled NETWORK: a folder of `penstock compile`, or a .pspkg file.

    Every descriptor with its predicate, its lists and folds, its tensors and its weights.
    """
    click.echo(load_network(network).listing().rstrip("\n"))

"""`penstock export`: checkpoint -> standard ONNX QDQ."""

from pathlib import Path

import rich_click as click

from penstock.cli.errors import load
from penstock.cli.output import note


@click.command(
    epilog="""Examples:\n
    penstock export build/ckpt.pt -o build/net.onnx
    """
)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="ONNX file to write."
)
def export(checkpoint: Path, output: Path) -> None:
    """Write the quantised network of a CHECKPOINT as ONNX (QuantizeLinear, DequantizeLinear).

    Any ONNX runtime runs the file; `penstock compile` turns it into a program.
    """
    load("penstock.model.flow", "model").export_checkpoint(checkpoint, output)
    note(f"wrote {output}")

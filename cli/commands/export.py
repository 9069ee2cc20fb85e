"""`penstock export`: checkpoint -> standard ONNX, quantised or in floating point."""

from pathlib import Path

import rich_click as click

from penstock.cli.compiled import network_option
from penstock.cli.errors import load
from penstock.cli.output import note


@click.command(
    epilog="""Examples:\n
    penstock export build/ckpt.pt -o build/net.onnx\n
    penstock export --float build/ckpt.pt -o build/float.onnx
    """
)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="ONNX file to write."
)
@click.option(
    "--float",
    "in_float",
    is_flag=True,
    help="The network before quantisation, for `penstock compile --calibration`.",
)
@network_option
def export(checkpoint: Path, output: Path, in_float: bool, network: str | None) -> None:
    """Write the quantised network of a CHECKPOINT as ONNX (QuantizeLinear, DequantizeLinear).

    Any ONNX runtime runs the file; `penstock compile` turns it into a program.
    """
    model = load("penstock.model")
    model.export_checkpoint(checkpoint, output, quantized=not in_float, network=network)
    note(f"wrote {output}")

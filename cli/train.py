"""`penstock train`: a gated network in floating point, then quantisation-aware."""

from pathlib import Path
from typing import Any

import rich_click as click

from penstock.cli.errors import InputError, load
from penstock.cli.output import STDOUT, emit, json_option, table


def train_checkpoint(**settings: Any) -> dict[str, float]:
    """Train with the given TrainConfig fields (None: its default); the checkpoint's figures."""
    given = {name: value for name, value in settings.items() if value is not None}
    config = load("penstock.model.config", "model").TrainConfig(**given)
    return load("penstock.model.flow", "model").train_network(config).metrics


def parse_widths(text: str) -> tuple[int, int, int]:
    """Three stage widths of "16,32,64"; InputError otherwise."""
    try:
        first, second, third = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"widths '{text}' are not three numbers", hint="such as 16,32,64"
        ) from None
    return first, second, third


@click.command(
    epilog="""Examples:\n
    penstock train -o build/ckpt.pt\n
    penstock train --network lcnet-resnet20 --dataset cifar10 --data-dir data/ -o r20.pt\n
    penstock train --widths 12,20,36 --l1 0.5 --seed 3 -o odd.pt
    """
)
@click.option(
    "--network",
    default="lcnet-resnet8",
    show_default=True,
    metavar="NAME",
    help="lcnet-resnetN is gated, resnetN is not; N = 8, 14, 20, ...",
)
@click.option(
    "--dataset",
    default="digits",
    show_default=True,
    metavar="NAME",
    help="digits (bundled with scikit-learn, no download) or cifar10.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of the CIFAR-10 binary files (data_batch_1.bin ... test_batch.bin).",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Checkpoint.")
@click.option("--epochs", type=int, help="Epochs in floating point.")
@click.option("--qat-epochs", type=int, help="Epochs quantisation-aware.")
@click.option("--batch-size", type=int)
@click.option("--lr", type=float, help="Learning rate.")
@click.option("--l1", type=float, help="Weight of the mean gate score: more closes more gates.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--schedule",
    type=click.Choice(["sequential", "parallel"]),
    default="sequential",
    show_default=True,
    help="Gates before their block, or beside its first convolution.",
)
@click.option("--widths", metavar="A,B,C", help="Channels of the stages, such as 16,32,64.")
@json_option
def train(
    network: str,
    dataset: str,
    data_dir: Path | None,
    output: Path,
    epochs: int | None,
    qat_epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    l1: float | None,
    seed: int,
    schedule: str,
    widths: str | None,
    json_to: str | None,
) -> None:
    """Train a gated network, quantise it, and write a checkpoint.

    First in floating point with an L1 term on the gate scores, then with quantisation in the
    loop under the core's arithmetic. The same settings and seed give the same checkpoint; what
    is not given has the value of the demo's recipe.
    """
    figures = train_checkpoint(
        network=network,
        dataset=dataset,
        data_dir=data_dir,
        out=output,
        epochs=epochs,
        qat_epochs=qat_epochs,
        batch_size=batch_size,
        lr=lr,
        l1=l1,
        seed=seed,
        schedule=schedule,
        widths=None if widths is None else parse_widths(widths),
        quiet=json_to == STDOUT,
    )
    result = table(f"{network} on {dataset} -> {output}", "", "")
    for name, value in figures.items():
        result.add_row(name.replace("_", " "), f"{value:,.4g}" if value < 2 else f"{value:,.0f}")
    named = {"network": network, "dataset": dataset, "seed": seed, "checkpoint": str(output)}
    emit({**named, **figures}, json_to, result)

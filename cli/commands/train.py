"""`penstock train`: a gated network in floating point, then quantisation-aware."""

from pathlib import Path
from typing import Any

import rich_click as click

from penstock.cli.compiled import SEED
from penstock.cli.errors import InputError, load
from penstock.cli.output import STDOUT, emit, json_option, table


def train_checkpoint(**settings: Any) -> dict[str, float]:
    """Train with the given TrainConfig fields (None: its default); the checkpoint's figures."""
    return load("penstock.model.train.flow").train_network(train_config(**settings)).metrics


def train_config(recipe: str | None = None, **settings: Any) -> Any:
    """A TrainConfig: its defaults, over them the recipe, over that the settings that are given."""
    given = {name: value for name, value in settings.items() if value is not None}
    known = {} if recipe is None else load("penstock.model.train.recipe").load_recipe(recipe)
    return load("penstock.model.train.config").TrainConfig(**(known | given))


def data_of(text: str) -> tuple[str, Path | None]:
    """The name and the place of a data set, of a path or `pkg.module:function`."""
    if load("penstock.model.files.reference").is_reference(text) and not Path(text).exists():
        return text, None
    path = Path(text)
    return str(load("penstock.model.data.load").kind_of_data(path)), path


def parse_widths(text: str) -> tuple[int, ...]:
    """The stage widths of "16,32,64"; InputError otherwise."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"widths '{text}' are not numbers with commas", hint="such as 16,32,64"
        ) from None


@click.command(
    epilog="""Examples:\n
    penstock train -o build/ckpt.pt\n
    penstock train --network lcnet-resnet20 --dataset cifar10 --data-dir data/ -o r20.pt\n
    penstock train --network mynet:Net --data photos/ --epochs 30 -o mine.pt\n
    penstock train --widths 12,20,36 --l1 0.5 --seed 3 -o odd.pt\n
    penstock train --recipe resnet20-cifar10-cpu --data-dir data/ -o r20.pt --resume
    """
)
@click.option(
    "--recipe",
    metavar="NAME",
    help="Settings of model/recipes/NAME.yaml, or of a YAML file; options given here override it.",
)
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    help="Checkpoint whose weights to start from; gates it lacks are fresh.",
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    help="Checkpoint whose answers to learn beside the labels (distillation).",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted run of OUTPUT stopped.")
@click.option(
    "--network",
    metavar="NAME",
    help="lcnet-resnetN is gated, resnetN is not; N = 8, 14, 20, ...; densenet41, vgg16 and "
    "others: docs/networks.md; or pkg.module:factory of a module of your own.  "
    "[default: lcnet-resnet8]",
)
@click.option(
    "--dataset",
    metavar="NAME",
    help="digits (bundled with scikit-learn, no download), cifar10, cifar100, svhn.  "
    "[default: digits]",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of the data set's files (CIFAR's binary version, SVHN's .mat).",
)
@click.option(
    "--data",
    metavar="DATA",
    help="Instead of both: a folder of image files (a folder a class, or train/ and test/), an "
    ".npz of images and labels, an .npy of images beside labels.npy, the folder of CIFAR or SVHN, "
    "or pkg.module:function.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Checkpoint.")
@click.option("--epochs", type=int, help="Epochs in floating point.")
@click.option("--qat-epochs", type=int, help="Epochs quantisation-aware.")
@click.option("--batch-size", type=int)
@click.option("--lr", type=float, help="Learning rate.")
@click.option("--l1", type=float, help="Weight of the mean gate score: more closes more gates.")
@click.option("--mac-target", type=float, help="Steer --l1 to this share of the dense MACs.")
@click.option("--device", metavar="NAME", help="cpu, cuda, ...  [default: cpu]")
@click.option("--seed", type=SEED, help="[default: 0]")
@click.option(
    "--schedule",
    type=click.Choice(["sequential", "parallel"]),
    help="Gates before their block, or beside its first convolution.  [default: sequential]",
)
@click.option("--widths", metavar="A,B,C", help="Channels of the stages, such as 16,32,64.")
@click.option(
    "--split", metavar="PLAN", help="Run in stages of channels: a plan of penstock search."
)
@json_option
def train(
    recipe: str | None,
    init: Path | None,
    teacher: Path | None,
    resume: bool,
    network: str | None,
    dataset: str | None,
    data_dir: Path | None,
    data: str | None,
    output: Path,
    epochs: int | None,
    qat_epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    l1: float | None,
    mac_target: float | None,
    device: str | None,
    seed: int | None,
    schedule: str | None,
    widths: str | None,
    split: str | None,
    json_to: str | None,
) -> None:
    """Train a gated network, quantise it, and write a checkpoint.

    First in floating point with an L1 term on the gate scores, then with quantisation in the
    loop under the core's arithmetic. The same settings and seed give the same checkpoint; what
    neither an option nor the recipe gives has the value of the demo's run. OUTPUT's neighbours
    *.jsonl and *.resume are the log, a line an epoch, and the state that --resume goes on from.
    """
    if data is not None:
        if dataset is not None or data_dir is not None:
            raise InputError("--data with --dataset or --data-dir", hint="--data says both")
        dataset, data_dir = data_of(data)
    config = train_config(
        recipe,
        network=network,
        dataset=dataset,
        data_dir=data_dir,
        out=output,
        init=init,
        teacher=teacher,
        resume=resume,
        epochs=epochs,
        qat_epochs=qat_epochs,
        batch_size=batch_size,
        lr=lr,
        l1=l1,
        mac_target=mac_target,
        device=device,
        seed=seed,
        schedule=schedule,
        widths=None if widths is None else parse_widths(widths),
        split=split,
        quiet=json_to == STDOUT,
    )
    trained = load("penstock.model.train.flow").train_network(config)
    if not trained.writes:
        return  # under torchrun one process reports
    figures = trained.metrics
    result = table(f"{config.network} on {config.dataset} -> {output}", "", "")
    for name, value in figures.items():
        result.add_row(name.replace("_", " "), f"{value:,.4g}" if value < 2 else f"{value:,.0f}")
    named = {name: getattr(config, name) for name in ("network", "dataset", "seed")}
    emit({**named, "checkpoint": str(output), **figures}, json_to, result)

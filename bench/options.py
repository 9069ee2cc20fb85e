"""Options that several commands of `penstock bench` have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

F = TypeVar("F", bound=Callable[..., Any])

data_option = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="CIFAR-10's binary files."
)


def images_option(default: int) -> Callable[[F], F]:
    """`--images N`: how many run on the simulated core."""
    return click.option(
        "--images",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Images on the simulated core.",
    )


def store_option(store: Path) -> Callable[[F], F]:
    """`--out`: another place than bench/results for the figures."""
    return click.option(
        "--out",
        "store",
        type=click.Path(path_type=Path),
        default=store,
        show_default="bench/results",
        help="Where the figures are stored.",
    )

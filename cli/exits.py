"""Early exits on the command line: thresholds, and what came of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.cli.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])


def _numbers(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """ "0.9,0.8" as numbers."""
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--thresholds '{text}'", hint="numbers like 0.9,0.8") from None


def thresholds_option(command: F) -> F:
    """The `--thresholds T,T` option: what the network's file says is replaced."""
    return click.option(
        "--thresholds",
        metavar="T,T",
        callback=_numbers,
        help="Softmax at which an image ends at each early exit, in order: 0 always, above 1 "
        "never (default: what the file says).",
    )(command)


def exit_figures(
    meta: dict[str, Any],
    taken: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64] | None,
) -> list[dict[str, Any]]:
    """For each exit and the network's own end: share of the images, accuracy among them."""
    names = [leave["name"] for leave in meta["exits"]] + [meta["output"]["name"]]
    thresholds = [leave["threshold"] for leave in meta["exits"]] + [None]
    figures = []
    for index, (name, threshold) in enumerate(zip(names, thresholds, strict=True)):
        here = taken == index
        figure: dict[str, Any] = {
            "name": name,
            "threshold": threshold,
            "images": int(here.sum()),
            "share": float(here.mean()),
        }
        if labels is not None:
            right = predicted[here] == labels[here]
            figure["accuracy"] = float(right.mean()) if here.any() else None
        figures.append(figure)
    return figures


def exit_rows(figures: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Rows of a table: an exit and what came of it."""
    rows = []
    for index, figure in enumerate(figures):
        accuracy = figure.get("accuracy")
        right = "" if accuracy is None else f", accuracy {accuracy:.2%}"
        what = (
            "end" if figure["threshold"] is None else f"exit {index}, t = {figure['threshold']:g}"
        )
        rows.append((f"{what}: {figure['name']}", f"{figure['share']:.1%}{right}"))
    return rows

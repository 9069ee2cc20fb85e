"""What holds for every command's arguments: no result over an input, no number that is none."""

import functools
import math
import os
from pathlib import Path
from typing import Any

import rich_click as click

from penstock.cli.errors import InputError
from penstock.cli.output import STDOUT

#: Parameters, of any command, that name a file which is written.
OUTPUTS = ("output", "json_to", "save", "vcd", "per_image")


def debug_option() -> click.Option:
    """Declared for `--help`; `main` looks for the word, as it is needed where parsing fails."""
    text = "Show the traceback of an error."
    return click.Option(["--debug"], is_flag=True, expose_value=False, help=text)


def complete(command: click.Command) -> click.Command:
    """The command with `--debug`, refusing NaN and an output that is another input or output."""
    command.params = [*command.params, debug_option()]
    callback = command.callback
    assert callback is not None

    @functools.wraps(callback)
    def checked(**values: Any) -> Any:
        _check_numbers(command, values)
        _check(command, values)
        return callback(**values)

    command.callback = checked
    return command


def _check_numbers(command: click.Command, values: dict[str, Any]) -> None:
    """InputError on NaN, which no comparison with a range finds."""
    for name, value in values.items():
        several = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, float) and math.isnan(number) for number in several):
            raise InputError(f"{_called(command, name)} is nan", hint="give a number")


def _check(command: click.Command, values: dict[str, Any]) -> None:
    given: dict[Path, str] = {}
    paths = {p.name: p for p in command.params if isinstance(p.type, click.Path)}
    for name in [*(n for n in paths if n not in OUTPUTS), *OUTPUTS]:
        value = values.get(name)
        if value is None or (name == "json_to" and value == STDOUT):
            continue
        path = Path(os.path.realpath(value))
        if name not in OUTPUTS:
            given[path] = name
        elif path in given and (path.is_file() or not path.exists()):
            raise InputError(
                f"{value} would be written, and is given as {_called(command, given[path])} too",
                hint="choose another name",
            )
        else:
            given[path] = name


def _called(command: click.Command, name: str) -> str:
    """How the user wrote a parameter."""
    parameter = next(p for p in command.params if p.name == name)
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return name.upper()

"""What several commands need of a compiled network."""

from pathlib import Path
from typing import Any

import rich_click as click

from penstock.cli.errors import InputError, load
from penstock.program.config import CONFIGS, HwConfig

#: The file by which a folder is known as the output of `penstock compile`.
MARKER = "program.pspkg"


#: Images that a run of the core takes, for a command that compiles.
images_option = click.option(
    "--images",
    type=click.IntRange(min=1),
    metavar="N",
    help="Images a run: layers with small maps are done for N images together, which then share "
    "lanes and weights (networks without gates and exits; default: 1).",
)


def hardware(name: str) -> HwConfig:
    """The named configuration; InputError with the known names otherwise."""
    if name not in CONFIGS:
        raise InputError(
            f"unknown hardware configuration '{name}'", hint=f"one of {', '.join(CONFIGS)}"
        )
    return CONFIGS[name]


def load_compiled(path: Path) -> Any:
    """The CompiledNetwork of a folder or a .pspkg file; a PenstockError if it cannot be used."""
    if not path.exists():
        raise InputError(f"cannot read {path}: no such file or folder", hint="penstock compile")
    return load("penstock.compiler.api").load(path)

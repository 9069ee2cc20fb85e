"""What several commands need of a compiled network."""

from pathlib import Path
from typing import Any

from penstock.cli.errors import InputError, load
from penstock.program.config import CONFIGS, HwConfig

#: The file by which a folder is known as the output of `penstock compile`.
MARKER = "program.pspkg"


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
    return load("penstock.compiler.api", "compiler").load(path)

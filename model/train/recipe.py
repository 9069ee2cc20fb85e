"""Recipes: training runs by name, in `model/recipes/*.yaml`; the keys are TrainConfig's fields."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from penstock.model.errors import ConfigError
from penstock.model.train.config import TrainConfig

FOLDER = Path(__file__).parents[1] / "recipes"
# A recipe says what is trained; where its files lie is the caller's business.
PLACES = frozenset({"data_dir", "out", "init", "teacher", "resume", "quiet"})
SETTINGS = {field.name: str(field.type) for field in fields(TrainConfig)}
TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "bool | None": (bool, type(None)),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
    "tuple[int, ...] | None": (list,),
    "tuple[float, ...] | None": (list,),
    "dict[str, Any] | None": (dict,),
}


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str | Path) -> dict[str, Any]:
    """TrainConfig fields of a recipe, by its name or the path of a YAML file.

    The key `about` is a sentence for the reader.  Raises ConfigError.
    """
    path = FOLDER / f"{name}.yaml" if str(name) in recipe_names() else Path(name)
    if not path.is_file():
        raise ConfigError(f"no recipe '{name}'", f"a YAML file, or one of {recipe_names()}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {error}", "see model/recipes/") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: not a list of 'setting: value' lines", "see model/recipes/")
    content.pop("about", None)
    return {str(key): _checked(path, str(key), value) for key, value in content.items()}


def _checked(path: Path, key: str, value: Any) -> Any:
    """The value as TrainConfig takes it; its range is TrainConfig's to check."""
    if key not in SETTINGS or key in PLACES:
        allowed = ", ".join(name for name in SETTINGS if name not in PLACES)
        raise ConfigError(f"{path}: unknown setting '{key}'", f"one of {allowed}")
    expected = TYPES.get(SETTINGS[key], (str,))
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise ConfigError(
            f"{path}: {key} is {value!r}, not {SETTINGS[key]}", "YAML wants 5.0e-4, not 5e-4"
        )
    return tuple(value) if isinstance(value, list) else value

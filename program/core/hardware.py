"""A hardware configuration by its name, or the user's own from a YAML file (docs/program.md)."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.program.base.optional import require
from penstock.program.core.config import CONFIGS, ConfigError, HwConfig

#: What a file of a configuration is called, so that it is no name.
SUFFIXES = (".yaml", ".yml")

#: Field of a file that names the configuration whose sizes are those the file does not have.
BASE = "base"

#: What `--config` takes, for a command's help.
NAMES = f"{', '.join(CONFIGS)}, or a YAML file of your own (docs/program.md)"

#: Smallest and largest value of each size.  Beyond them no core has been simulated, and sources
#: have no room: 32 lanes and 16 bursts are what words and rings of the HLS core hold.
LIMITS: dict[str, tuple[int, int]] = {
    "p_oc": (2, 16),
    "p_px": (2, 32),
    "min_rows": (1, 16),
    "fmem_bytes": (1 << 10, 4 << 20),
    "wbuf_bytes": (64, 16 << 10),
    "gate_mem_bytes": (1 << 10, 4 << 20),
    "score_depth": (64, 16 << 10),
    "max_channels": (32, 2 << 10),
    "n_lists": (2, 16),
    "pool_depth": (32, 8 << 10),
    "max_outstanding": (2, 16),
    "macs_per_dsp": (1, 2),
}

#: Banks of the feature memory at most, and shapes of the array: a descriptor has two bits for one.
MAX_WINDOW, MAX_MODES = 128, 4

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")

_FIELDS = {field.name: field.default for field in dataclasses.fields(HwConfig)}
_HINT = f"fields: {BASE} (one of {', '.join(CONFIGS)}), {', '.join(_FIELDS)}"


def is_file(name: str) -> bool:
    """Whether a configuration's name is that of a YAML file."""
    return Path(name).suffix.lower() in SUFFIXES


def hardware(name: str) -> HwConfig:
    """The configuration of CONFIGS named `name`, or the one in the file `name`.yaml.

    Raises:
        ConfigError: no configuration has that name, or the file has none that a core can have.
        MissingPackageError: PyYAML is not installed.
    """
    if is_file(name):
        return read_hardware(Path(name))
    if name not in CONFIGS:
        raise ConfigError(
            f"unknown hardware configuration '{name}'",
            hint=f"one of {', '.join(CONFIGS)}, or a YAML file of your own",
        )
    return CONFIGS[name]


def read_hardware(path: Path) -> HwConfig:
    """The configuration of a YAML file: HwConfig's fields, or `base` and those that differ from it.

    Raises:
        ConfigError: the file cannot be read or is not YAML; all of its fields that are unknown,
            twice there, missing or of the wrong type; else all whose value no core can have; else
            its name is one of CONFIGS and the sizes are others.
        MissingPackageError: PyYAML is not installed.
    """
    data = _read(path)
    wrong = list(_wrong(data))
    if wrong:
        raise ConfigError(", ".join(wrong), str(path), _HINT)
    base = CONFIGS[data[BASE]].fields() if BASE in data else {}
    try:
        return own_config(base | {name: data[name] for name in data if name != BASE})
    except ConfigError as error:
        hint = error.hint or "docs/program.md has each field's range"
        raise ConfigError(error.message, str(path), hint) from None


def own_config(fields: dict[str, Any]) -> HwConfig:
    """The configuration with these values of HwConfig's fields, each of its field's type.

    Raises:
        ConfigError: all that no core can have; else the name is one of CONFIGS, whose sizes are
            others.
    """
    faults = list(_faults(fields))
    config = None
    try:
        config = HwConfig(**fields)
    except ConfigError as error:
        faults.append(error.message)
    if faults or config is None:
        raise ConfigError(", ".join(faults))
    if config.is_own and config.name in CONFIGS:
        raise ConfigError(
            f"name is '{config.name}', a configuration with other sizes",
            hint=f"any name but {', '.join(CONFIGS)}",
        )
    return config


def _faults(fields: dict[str, Any]) -> Iterator[str]:
    """What is beyond what has been simulated, each fault with its field and value."""
    name, rows, least = fields["name"], fields["p_oc"], fields["min_rows"]
    if not _NAME.fullmatch(name):
        yield f"name = '{name}': not a letter, then letters, digits and _, 32 in all"
    for field, (low, high) in LIMITS.items():
        if field in fields and not low <= fields[field] <= high:
            yield f"{field} = {fields[field]}: not from {low} to {high}"
    if rows * fields["p_px"] > MAX_WINDOW * least:
        yield f"min_rows = {least}: p_oc * p_px / min_rows is over {MAX_WINDOW}"
    if rows >= least * (1 << MAX_MODES):
        yield f"min_rows = {least}: p_oc = {rows} makes over {MAX_MODES} shapes"


def _read(path: Path) -> dict[Any, Any]:
    """The file's mapping; ConfigError if it has none, or a key twice, which YAML lets pass."""
    yaml = require("yaml")
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no such day of a month
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError("not a mapping of fields to values", str(path), _HINT)
    keys = Counter(str(key.value) for key, _ in node.value)
    if twice := [key for key, count in keys.items() if count > 1]:
        raise ConfigError(f"{', '.join(twice)} is there twice", str(path), "leave one of them out")
    return data


def _wrong(data: dict[Any, Any]) -> Iterator[str]:
    """What is no field of a configuration, or is one and not there, or not of its type."""
    for name, value in data.items():
        if name == BASE:
            if value not in list(CONFIGS):
                yield f"{BASE} is {value!r}, not one of {', '.join(CONFIGS)}"
        elif name not in _FIELDS:
            yield f"unknown field {name!r}"
        elif type(value) is not (str if name == "name" else int):
            yield f"{name} is {value!r}, not {'a text' if name == 'name' else 'a whole number'}"
    for name, default in _FIELDS.items():
        optional = default is not dataclasses.MISSING or (BASE in data and name != "name")
        if name not in data and not optional:
            yield f"{name} is missing"

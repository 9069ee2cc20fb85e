"""Mutants that nothing can notice, with the reason (explained.yaml)."""

from collections.abc import Collection, Mapping
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("explained.yaml")


def load(path: Path = FILE) -> dict[str, str]:
    """Key of a mutant -> why it is equivalent to the core.

    Raises:
        ValueError: an entry is not a mutant and a reason.
    """
    entries = yaml.safe_load(path.read_text()) or []
    found = {}
    for entry in entries:
        if set(entry) != {"mutant", "reason"} or not str(entry["reason"]).strip():
            raise ValueError(f"{path.name}: {entry}: wanted are `mutant` and `reason`")
        if entry["mutant"] in found:
            raise ValueError(f"{path.name}: twice: {entry['mutant']}")
        found[entry["mutant"]] = " ".join(str(entry["reason"]).split())
    return found


def unknown(reasons: Mapping[str, str], keys: Collection[str]) -> list[str]:
    """A line for each explanation of a mutant that does not exist."""
    return [f"explained, but there is no such mutant: {key}" for key in reasons if key not in keys]


def killed(reasons: Mapping[str, str], dead: Mapping[str, str]) -> list[str]:
    """A line for each explanation of a mutant that something noticed (`dead`: key -> what)."""
    return [f"explained, but killed ({dead[key]}): {key}" for key in reasons if key in dead]

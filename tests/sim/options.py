"""Options of a run in one flat mapping, as cases and campaigns keep them."""

import dataclasses
from typing import Any

from penstock.sim.rtl.memory import Faults, Memory

_MEMORY = {field.name for field in dataclasses.fields(Memory)}
_FAULTS = {f"fault_{field.name}": field.name for field in dataclasses.fields(Faults)}
_FAULTS |= {"hang": "hang", "hang_cycle": "hang_cycle"}


def split(options: dict[str, Any]) -> dict[str, Any]:
    """For RtlCore.execute: `memory` and `faults` of what is theirs, the rest as it is.

    The fields of Faults have "fault_" before their names, but for `hang` and `hang_cycle`.
    """
    memory = {name: value for name, value in options.items() if name in _MEMORY}
    faults = {_FAULTS[name]: value for name, value in options.items() if name in _FAULTS}
    rest = {name: value for name, value in options.items() if name not in {*_MEMORY, *_FAULTS}}
    return {"memory": Memory(**memory), "faults": Faults(**faults), **rest}

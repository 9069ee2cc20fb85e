"""Delays of a family and speed grade: one file in data/ each, with its source."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.program.base.errors import PenstockError

FOLDER = Path(__file__).resolve().parent / "data"

#: Settings of the wire model, from hopeful to cautious.
WIRES = ("optimistic", "middle", "pessimistic")

#: Fan-out from which a net is crowded.
CROWD = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Delay of a net in nanoseconds, from its fan-out alone.

    Attributes:
        base: of a net with one sink.
        doubling: more for every doubling of the fan-out.
        crowd: more for every doubling beyond CROWD sinks.
        packed: between neighbours of a slice: a LUT and its register, its multiplexer, its carry.
    """

    base: float
    doubling: float
    crowd: float
    packed: float

    def delay(self, fan_out: int) -> float:
        """The delay in ns of a net that leaves its slice."""
        more = self.doubling * math.log2(max(fan_out, 1))
        return self.base + more + self.crowd * math.log2(max(fan_out / CROWD, 1))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Cell delays in nanoseconds (data/*.yaml says where each comes from).

    Attributes:
        name: of the file.
        title: as documents call it.
        parts: beginnings of the names of the parts it stands for.
        mapped: family whose cells the netlist has.
        source: where the numbers come from, what is assumed.
        uncertainty: of the clock, and skew.
        wires: of each setting in WIRES.
        register, lut, mux, lutram, shift_register, block_ram, dsp: by arc.
        carry: of a CARRY4, input -> output -> delay.
    """

    name: str
    title: str
    parts: tuple[str, ...]
    mapped: str
    source: str
    uncertainty: float
    wires: Mapping[str, Wire]
    register: Mapping[str, float]
    lut: float
    mux: Mapping[str, float]
    carry: Mapping[str, Mapping[str, float]]
    lutram: Mapping[str, float]
    shift_register: Mapping[str, float]
    block_ram: Mapping[str, float]
    dsp: Mapping[str, Any]


def delay_names(folder: Path = FOLDER) -> tuple[str, ...]:
    """Every family and grade there is a file for."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "public"))


def load_delays(name: str, folder: Path = FOLDER) -> Delays:
    """The named file.

    Raises:
        PenstockError: there is no such file, or it has missing or unknown fields.
    """
    import yaml

    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise PenstockError(
            f"no delays of '{name}'", hint=f"one of {', '.join(delay_names(folder))}"
        )
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    expected = {field.name for field in dataclasses.fields(Delays)} - {"name", "wires"} | {"wire"}
    if not isinstance(data, dict) or set(data) != expected:
        wrong = sorted(set(data) ^ expected) if isinstance(data, dict) else sorted(expected)
        raise PenstockError(f"{path}: missing or unknown: {', '.join(wrong)}")
    wire = data.pop("wire")
    shared = {key: value for key, value in wire.items() if key not in WIRES}
    wires = {setting: Wire(base=wire[setting], **shared) for setting in WIRES}
    return Delays(**data | {"name": name, "parts": tuple(data["parts"]), "wires": wires})


def delays_of(part: str) -> str:
    """Name of the delays that stand for a part.

    Raises:
        PenstockError: none do.
    """
    for name in delay_names():
        if part.startswith(load_delays(name).parts):
            return name
    raise PenstockError(f"no delays for the part {part}", hint="add a file to bench/timing/data")

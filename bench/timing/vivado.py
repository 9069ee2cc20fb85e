"""Vivado's timing summary in the estimate's place (`report_timing_summary -file ...`)."""

import dataclasses
import re
from pathlib import Path

from penstock.program.base.errors import PenstockError

_HEAD = re.compile(r"^\|\s*([\w ]+?)\s*:\s*(.+?)\s*$", re.MULTILINE)
_CLOCK = re.compile(r"^(\S+)\s+\{[\d. ]+\}\s+([\d.]+)\s+([\d.]+)\s*$", re.MULTILINE)
_INTRA = "Intra Clock Table"
_NUMBERS = r"(-?[\d.]+)\s+(-?[\d.]+)\s+(\d+)\s+(\d+)"
_PATH = re.compile(
    r"^Slack \((?:MET|VIOLATED)\) :\s+(-?[\d.]+)ns.*?"
    r"Source:\s+(\S+).*?Destination:\s+(\S+).*?"
    r"Path Type:\s+Setup.*?Logic Levels:\s+(\d+)",
    re.MULTILINE | re.DOTALL,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorstPath:
    """A path as Vivado reports it; nanoseconds of slack."""

    slack: float
    source: str
    target: str
    levels: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What Vivado found: after synthesis, placement or routing, as `state` says.

    Attributes:
        device, speed: the part it timed.
        state: Vivado's "Design State" if the report has one ("Routed"), else "unknown".
        clock: name of the clock with the most ends of paths.
        period: nanoseconds; slack: the worst of setup; ends, failing: of paths.
    """

    device: str
    speed: str
    state: str
    clock: str
    period: float
    slack: float
    ends: int
    failing: int
    paths: tuple[WorstPath, ...]

    @property
    def fmax(self) -> float:
        """MHz at which no setup time would be missed."""
        return 1000 / (self.period - self.slack)


def read(path: Path) -> Summary:
    """A timing summary.

    Raises:
        PenstockError: the file cannot be read, or is none, or has no clock with setup paths.
    """
    try:
        text = path.read_text(errors="replace", encoding="utf-8")
    except OSError as error:
        raise PenstockError(f"cannot read {path}: {error.strerror}") from error
    if "Timing Summary Report" not in text or _INTRA not in text:
        raise PenstockError(
            f"{path} is no timing summary of Vivado", hint="report_timing_summary -file FILE"
        )
    head = dict(_HEAD.findall(text))
    periods = {name: float(period) for name, period, _ in _CLOCK.findall(text)}
    tables = text[text.index(_INTRA) :]
    best: tuple[int, str, float, int] | None = None
    for name in periods:
        row = re.search(rf"^{re.escape(name)}\s+{_NUMBERS}", tables, re.MULTILINE)
        if row and (best is None or int(row[4]) > best[0]):
            best = (int(row[4]), name, float(row[1]), int(row[3]))
    if best is None:
        raise PenstockError(
            f"{path}: no clock has setup paths", hint="is the core in the design, with its clock?"
        )
    ends, name, slack, failing = best
    if slack >= periods[name]:
        raise PenstockError(f"{path}: slack {slack} ns of a period of {periods[name]} ns")
    return Summary(
        device=head.get("Device", "unknown"),
        speed=head.get("Speed File", "unknown"),
        state=head.get("Design State", "unknown"),
        clock=name,
        period=periods[name],
        slack=slack,
        ends=ends,
        failing=failing,
        paths=tuple(
            WorstPath(slack=float(s), source=a, target=b, levels=int(n))
            for s, a, b, n in _PATH.findall(text)
        ),
    )

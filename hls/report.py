"""Reads Vitis HLS synthesis reports (`*_csynth.xml`) into plain figures."""

import dataclasses
import xml.etree.ElementTree as ET
from pathlib import Path

from penstock.hls.sources import TOP, HlsError

_RESOURCES = {
    "dsp": ("DSP", "DSP48E"),
    "bram18": ("BRAM_18K",),
    "uram": ("URAM",),
    "lut": ("LUT",),
    "ff": ("FF",),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """Figures of one synthesis.

    Attributes:
        part: the device.
        clock_ns: the period asked for.
        estimated_ns: the period the tool expects, before place and route.
        latency: best and worst case in cycles; None where the tool cannot tell.
        ii: initiation interval of every pipelined loop, by name.
        used, available: dsp, bram18, uram, lut, ff.
    """

    part: str
    clock_ns: float
    estimated_ns: float
    latency: dict[str, int | None]
    ii: dict[str, int]
    used: dict[str, int]
    available: dict[str, int]


def find_reports(folder: Path) -> Path | None:
    """The folder below `folder` that holds the top's report; None if there is none."""
    found = sorted(folder.rglob(f"{TOP}_csynth.xml"))
    return found[0].parent if found else None


def parse_reports(folder: Path) -> Synthesis:
    """Figures from every `*_csynth.xml` in `folder`.

    Raises:
        HlsError: the report of the top is missing or not one.
    """
    path = folder / f"{TOP}_csynth.xml"
    try:
        top = ET.parse(path).getroot()
        return Synthesis(
            part=_text(top, "UserAssignments/Part"),
            clock_ns=float(_text(top, "UserAssignments/TargetClockPeriod")),
            estimated_ns=float(
                _text(top, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
            ),
            latency={
                name: _cycles(top, f"PerformanceEstimates/SummaryOfOverallLatency/{tag}")
                for name, tag in (("best", "Best-caseLatency"), ("worst", "Worst-caseLatency"))
            },
            ii=_intervals(folder),
            used=_resources(top, "AreaEstimates/Resources"),
            available=_resources(top, "AreaEstimates/AvailableResources"),
        )
    except (OSError, ET.ParseError, KeyError, ValueError) as error:
        raise HlsError(f"not a synthesis report: {error}", str(path)) from error


def _text(node: ET.Element, path: str) -> str:
    text = node.findtext(path)
    if text is None:
        raise KeyError(f"no {path}")
    return text.strip()


def _cycles(node: ET.Element, path: str) -> int | None:
    """A number of cycles; the tool writes `undef` where a loop has no bound."""
    text = _text(node, path)
    return int(text) if text.isdigit() else None


def _resources(node: ET.Element, path: str) -> dict[str, int]:
    """Used or available resources; a kind the part does not have is 0."""
    _text(node, f"{path}/LUT")  # every report has these
    result = {}
    for name, tags in _RESOURCES.items():
        texts = (node.findtext(f"{path}/{tag}") for tag in tags)
        result[name] = next((int(text) for text in texts if text), 0)
    return result


def _intervals(folder: Path) -> dict[str, int]:
    """II of every pipelined loop of every module."""
    return _of_loops(folder, "PipelineII")


def loop_depths(reports: Path) -> dict[str, int]:
    """Stages of every pipelined loop of every module, by the loop's name.

    `reports`: their folder, or one of them: those beside it are of the same synthesis.

    Raises:
        HlsError: there is nothing of that name, or a report cannot be read.
    """
    if not reports.exists():
        raise HlsError("no such report, and no such folder", str(reports))
    try:
        return _of_loops(reports, "PipelineDepth")
    except (OSError, ET.ParseError) as error:
        raise HlsError(f"not a synthesis report: {error}", str(reports)) from error


def _of_loops(reports: Path, tag: str) -> dict[str, int]:
    """A number of every loop that has it; the largest, where modules share a loop."""
    named = {reports} if reports.is_file() else set()
    folder = reports.parent if named else reports
    result: dict[str, int] = {}
    for path in sorted(named | set(folder.glob("*_csynth.xml"))):
        loops = ET.parse(path).getroot().find("PerformanceEstimates/SummaryOfLoopLatency")
        for loop in loops.iter() if loops is not None else ():
            number = loop.findtext(tag)
            if number and number.isdigit():
                name = loop.findtext("Name") or loop.tag
                result[name] = max(int(number), result.get(name, 0))
    return result

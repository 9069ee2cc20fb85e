"""Fits the cycle model to a synthesis report: stages of pipelined loops as the tool has them."""

import dataclasses
from pathlib import Path

from penstock.hls.report import loop_depths
from penstock.hls.sources import HlsError
from penstock.program.core.hls_timing import HlsTiming

#: Constant of the model -> the loop of the source whose depth it is.
LOOPS = {
    "step_depth": "step_loop",
    "fetch_depth": "fetch_loop",
    "vector_depth": "pool_elements",
    "dense_depth": "output_words",
    "copy_depth": "copy_windows",
    "pool_depth": "pool_taps",
    "exit_depth": "exit_sum",
    "load_depth": "load_burst",
    "store_depth": "store_burst",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The constants with the report's depths; `errors`: believed less reported, in cycles, of each
    loop that the report has."""

    timing: HlsTiming
    errors: dict[str, int]


def fit(reports: Path) -> Fit:
    """The model fitted to the `*_csynth.xml` in the folder `reports`, or beside the file.

    Raises:
        HlsError: there is no report with a loop of the model.
    """
    depths = loop_depths(reports)
    found = {name: depths[loop] for name, loop in LOOPS.items() if loop in depths}
    if not found:
        raise HlsError(
            "no *_csynth.xml there has the depth of a loop of this core",
            str(reports),
            hint="give Vitis HLS's reports: vitis/solution/syn/report, reports, or a file there",
        )
    believed = dataclasses.asdict(HlsTiming())
    return Fit(
        timing=HlsTiming(**(believed | found)),
        errors={name: believed[name] - depth for name, depth in found.items()},
    )

"""Emits a Vitis HLS project: sources, configuration header, test bench, scripts, README."""

import dataclasses
import re
import shutil
from pathlib import Path

from penstock.hls import templates
from penstock.hls.resources import Estimate
from penstock.hls.sources import (
    CXX_FLAGS,
    CXX_STANDARD,
    PLAIN_BUS,
    SOURCE_DIR,
    TOP,
    VITIS_BUS,
    Types,
    headers,
    sources,
)
from penstock.hls.vectors import Bytes, depths, pack_vectors
from penstock.program.core.config import HwConfig
from penstock.program.core.hls_timing import HlsTiming
from penstock.program.generate.cplusplus import CONFIG_HEADER, config_header
from penstock.program.network.package import Package

TEST_BENCH = Path(__file__).resolve().parent / "tb" / "penstock_tb.cpp"

#: What build.tcl can do, in order.
STEPS = ("csim", "csynth", "cosim", "export")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the core goes: board, part, clock; and the steps that build.tcl runs."""

    board: str
    part: str
    clock_mhz: float
    steps: tuple[str, ...] = STEPS

    @property
    def period(self) -> str:
        """Clock period in ns, as the tools take it."""
        return f"{1000 / self.clock_mhz:.3f}".rstrip("0").rstrip(".")


def emit(
    folder: Path,
    package: Package,
    target: Target,
    inputs: Bytes,
    records: Bytes,
    estimate: Estimate | None = None,
    timing: HlsTiming | None = None,
) -> None:
    """Write the project into `folder`.

    Args:
        folder: an empty folder.
        package: the Program of the test bench; its configuration is the core's.
        target: board, part, clock and steps.
        inputs: uint8 [N, input_stride], the test bench's images.
        records: uint8 [N, record_bytes], golden's records of them.
        estimate: where memories lie and products are made; the source's own places else.
        timing: constants of the cycle model.
    """
    config = package.config
    header = config_header(config, depths(package, inputs, records), timing)
    (folder / "src").mkdir()
    (folder / "tb").mkdir()
    buses = (PLAIN_BUS, VITIS_BUS)
    for path in (*sources(), *headers(Types.AP)):
        if path.parent.name not in buses:
            text = path.read_text(encoding="utf-8")
            text = bound(text, estimate) if estimate else text
            (folder / "src" / path.name).write_text(text, encoding="utf-8")
    for bus in buses:
        shutil.copytree(SOURCE_DIR / bus, folder / bus)
    (folder / "src" / CONFIG_HEADER).write_text(header, encoding="utf-8")
    shutil.copyfile(TEST_BENCH, folder / "tb" / TEST_BENCH.name)
    (folder / "tb" / "vectors.bin").write_bytes(pack_vectors(package, inputs, records))
    words = _words(package, config, target, len(inputs))
    texts = {
        "build.tcl": templates.BUILD_TCL,
        "options.tcl": templates.OPTIONS_TCL,
        "hls_config.cfg": templates.CONFIG_CFG,
        "README.md": templates.README,
    }
    for name, template in texts.items():
        (folder / name).write_text(template.substitute(words), encoding="utf-8")


#: A pragma whose last word `bound` sets: its beginning, the variable, the word.
_BINDING = re.compile(r"^(#pragma HLS BIND_\w+ variable=([\w.]+) .*impl=)(bram|dsp|fabric)$", re.M)


def bound(text: str, estimate: Estimate) -> str:
    """A source whose memories and products lie where `estimate` says, in words as wide."""
    places = estimate.storage | estimate.operators

    def line(match: re.Match[str]) -> str:
        head, name, here = match.groups()
        elements = estimate.words.get(name)
        wide = f"\n#pragma HLS ARRAY_RESHAPE variable={name} cyclic factor={elements} dim=1"
        return f"{head}{places.get(name, here)}{wide if elements else ''}"

    return _BINDING.sub(line, text)


def _words(package: Package, config: HwConfig, target: Target, images: int) -> dict[str, object]:
    """What the templates name."""
    return {
        "title": f"Penstock core, configuration {config.name}, for {target.board}",
        "top": TOP,
        "standard": CXX_STANDARD,
        "flags": " ".join(CXX_FLAGS),
        "plain_bus": PLAIN_BUS,
        "vitis_bus": VITIS_BUS,
        "sources": "\n".join(f"syn.file=./src/{path.name}" for path in sources()),
        "steps": " ".join(target.steps),
        "board": target.board,
        "part": target.part,
        "period": target.period,
        "network": package.meta["network"],
        "config": config.name,
        "hash": f"{config.hash:#010x}",
        "p_oc": config.p_oc,
        "p_px": config.p_px,
        "images": images,
    }

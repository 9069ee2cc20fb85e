"""What a board is: part, resources, ports of its processing system, clocks."""

import dataclasses
from pathlib import Path
from typing import Any

from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import require
from penstock.program.core.config import CONFIGS, HwConfig

FOLDER = Path(__file__).resolve().parent
#: Family -> MHz of the PLL that its processing system divides for the programmable logic.
PLL_MHZ = {"zynq7": 1000, "zynqmp": 1500}
FAMILIES = tuple(PLL_MHZ)


class BoardError(PenstockError):
    """An unknown board, or a board file that cannot be used."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board.

    Attributes:
        name: as used on the command line.
        title: as its maker calls it.
        part: the device.
        board_part: the Vivado board file.
        family: "zynq7" (Zynq-7000) or "zynqmp" (Zynq UltraScale+).
        pynq: the PYNQ release it runs.
        configs: hardware configurations that are built for it; the first is the default.
        resources: dsp, bram36, uram, lut of the device.
        ps: ports of the processing system: control, memory, interrupt.
        rtl_mhz: clock of the RTL core, by configuration.
        hls_mhz: clock of the HLS core.
        axi_bits: width of the memory port.
    """

    name: str
    title: str
    part: str
    board_part: str
    family: str
    pynq: str
    configs: tuple[str, ...]
    resources: dict[str, int]
    ps: dict[str, str]
    rtl_mhz: dict[str, int]
    hls_mhz: int
    axi_bits: int

    def clock(self, core: str, config_name: str) -> int:
        """MHz of a core, "rtl" or "hls"; of a configuration not built here, the first one's."""
        if core == "hls":
            return self.hls_mhz
        return self.rtl_mhz.get(config_name, self.rtl_mhz[self.configs[0]])

    def require(self, config: HwConfig) -> None:
        """BoardError unless `config` is built for this board, or is the user's own."""
        if config.name not in self.configs and not config.is_own:
            raise BoardError(
                f"configuration '{config.name}' is not built for {self.name}",
                hint=f"one of {', '.join(self.configs)}",
            )


def board_names() -> tuple[str, ...]:
    """Every board, by name."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_board(name: str, folder: Path = FOLDER) -> Board:
    """The named board.

    Raises:
        BoardError: there is no such board, or its file has missing, unknown or wrong values.
        MissingPackageError: PyYAML is not installed.
    """
    yaml = require("yaml")
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise BoardError(f"unknown board '{name}'", hint=f"one of {', '.join(board_names())}")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BoardError(f"{path} is not YAML: {error}") from error
    return _check(data, str(path))


def _check(data: Any, source: str) -> Board:
    names = {field.name for field in dataclasses.fields(Board)}
    if not isinstance(data, dict) or set(data) != names:
        wrong = sorted(set(data) ^ names) if isinstance(data, dict) else sorted(names)
        raise BoardError(f"{source}: missing or unknown: {', '.join(wrong)}")
    board = Board(**{**data, "configs": tuple(data["configs"])})
    for config in board.configs:
        if config not in CONFIGS:
            raise BoardError(f"{source}: unknown configuration '{config}'")
    expected = {"resources": {"dsp", "bram36", "uram", "lut"}}
    expected["ps"] = {"control", "memory", "interrupt"}
    expected["rtl_mhz"] = set(board.configs)
    for name, keys in expected.items():
        value = getattr(board, name)
        if not isinstance(value, dict) or set(value) != keys:
            raise BoardError(f"{source}: {name} must have {', '.join(sorted(keys))}")
    if board.family not in FAMILIES:
        raise BoardError(f"{source}: family '{board.family}', one of {', '.join(FAMILIES)}")
    clocks = {f"rtl_mhz.{config}": mhz for config, mhz in board.rtl_mhz.items()}
    for name, mhz in (clocks | {"hls_mhz": board.hls_mhz}).items():
        pll = PLL_MHZ[board.family]
        if type(mhz) is not int or mhz < 1 or pll % mhz:
            raise BoardError(
                f"{source}: {name} is {mhz}, no whole fraction of the {pll} MHz that the"
                f" processing system of {board.family} divides"
            )
    return board

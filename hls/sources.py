"""Where the C++ of the HLS core lies, and the ap_types headers it is compiled with."""

import enum
from collections.abc import Sequence
from pathlib import Path

from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import locate

#: The folder of the C++ sources.
SOURCE_DIR = Path(__file__).resolve().parent / "src"

#: The top function of the core.
TOP = "penstock"

#: Every warning but two, about the labels and pragmas for which g++ has no use.
WARNINGS = ("-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-label")

#: What every g++ run has: accumulators wrap.
CXX_FLAGS = (*WARNINGS, "-fwrapv")

#: The C++ standard Vitis HLS takes by default.
CXX_STANDARD = "c++14"


class HlsError(PenstockError):
    """The HLS core cannot be built or emitted."""


#: Folder of the AXI4 master's wrapper on pointers, and on the explicit bursts of Vitis HLS.
PLAIN_BUS = "bus_plain"
VITIS_BUS = "bus_vitis"


class Types(enum.Enum):
    """Element types: the folder that is put on the include path."""

    PLAIN = "types_plain"  # plain integers, fast
    AP = "types_ap"  # ap_types, as synthesised


#: Folder of the feature memory: banks, as synthesised, or one array, which is faster.
MEMORY = {Types.PLAIN: "flat", Types.AP: "banks"}


def sources() -> list[Path]:
    """The translation units, by name."""
    return sorted(SOURCE_DIR.glob("*.cpp"))


def headers(types: Types) -> list[Path]:
    """Every header that C simulation with these element types includes, the types' last."""
    folders = (
        SOURCE_DIR,
        SOURCE_DIR / PLAIN_BUS,
        SOURCE_DIR / MEMORY[types],
        SOURCE_DIR / types.value,
    )
    return [path for folder in folders for path in sorted(folder.glob("*.h"))]


def ap_types() -> Path:
    """The folder of the ap_types headers in the installed hls4ml package (Apache-2.0).

    hls4ml itself is not imported.

    Raises:
        MissingPackageError: hls4ml is not installed.
    """
    return locate("hls4ml") / "templates" / "vivado" / "ap_types"


def one_unit(files: Sequence[Path]) -> list[str]:
    """Arguments with which g++ compiles `files` as one unit, the last of its command.

    The ap_types headers take longer than the sources, so once is a fifth of once a file.
    """
    included = [word for path in files for word in ("-include", str(path.resolve()))]
    return [*included, "-x", "c++", "/dev/null"]


def include_flags(types: Types, config_dir: Path) -> list[str]:
    """Compiler flags for the sources with these element types and `config_dir`'s ps_config.h."""
    folders = [config_dir, SOURCE_DIR]
    folders += [SOURCE_DIR / name for name in (PLAIN_BUS, MEMORY[types], types.value)]
    flags = [f"-I{folder}" for folder in folders]
    return [*flags, "-isystem", str(ap_types())] if types is Types.AP else flags

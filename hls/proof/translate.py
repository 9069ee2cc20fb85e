"""One translation unit of the core's C++ in which pragmas of Vitis HLS say the same to clang.

INLINE becomes an attribute of its function, UNROLL a full unrolling, PIPELINE a note in the loop:
an empty asm statement, which LLVM neither drops nor takes for an access to memory.  LOOP_TRIPCOUNT
becomes one in a loop that is neither.  The bus is `bus/ps_bus.h` of this folder.  Memories lose
their `static`, so LLVM knows that nothing else reads them.
"""

import re
from pathlib import Path

from penstock.hls.sources import MEMORY, SOURCE_DIR, Types, sources
from penstock.program.core.config import HwConfig
from penstock.program.generate.cplusplus import CONFIG_HEADER, config_header

#: The bus whose addresses are plain pointers.
BUS = Path(__file__).resolve().parent / "bus" / "ps_bus.h"

#: The unit that includes the others.
UNIT = "all.cc"

_PRAGMA = re.compile(r"#pragma HLS (\w+)")
_LOOP = re.compile(r'(_Pragma\("[^"]*"\) )?\s*(for|while) \(')
_LABEL = re.compile(r"\s*(\w+):$")


def texts() -> dict[str, str]:
    """File name -> text of the sources the proof is about: synthesised banks, plain integers."""
    folders = (SOURCE_DIR, SOURCE_DIR / MEMORY[Types.AP], SOURCE_DIR / Types.PLAIN.value)
    headers = [path for folder in folders for path in sorted(folder.glob("*.h"))]
    return {path.name: path.read_text(encoding="utf-8") for path in (*headers, BUS, *sources())}


def write_unit(folder: Path, config: HwConfig, files: dict[str, str]) -> Path:
    """Write `files` and the configuration's header, translated, into `folder`; the unit's path."""
    for name, text in (files | {CONFIG_HEADER: config_header(config)}).items():
        (folder / name).write_text(translated(text), encoding="utf-8")
    units = [name for name in files if name.endswith(".cpp")]
    unit = folder / UNIT
    unit.write_text("".join(f'#include "{name}"\n' for name in units), encoding="utf-8")
    return unit


def translated(text: str) -> str:
    """A source in clang's terms; every line stays where it is."""
    done: list[str] = []
    for line in text.split("\n"):
        match = _PRAGMA.match(line)
        if not match:
            done.append(re.sub(r"^(  +)static (?!_)", r"\1", line))
            continue
        done.append(_in_place(match[1], line, done))
    return "\n".join(done)


def _in_place(kind: str, line: str, before: list[str]) -> str:
    """What stands in the pragma's line; may change the line of its loop or function."""
    if kind == "INLINE":
        at = _last(before, re.compile(r"[A-Za-z]"))
        attribute = "noinline" if line.rstrip().endswith(" off") else "always_inline"
        before[at] = f"__attribute__(({attribute})) {before[at]}"
    elif kind == "UNROLL":
        at = _last(before, _LOOP)
        before[at] = f'_Pragma("clang loop unroll(full)") {before[at]}'
    elif kind == "PIPELINE":
        return _note("pipeline", before)
    elif kind == "LOOP_TRIPCOUNT" and "_Pragma" not in before[_last(before, _LOOP)]:
        return _note("rolled", before)
    return ""


def _note(what: str, before: list[str]) -> str:
    """A loop that LLVM leaves as it is, and what says so in it."""
    at = _last(before, _LOOP)
    label = _LABEL.match(before[at - 1])
    before[at] = f'_Pragma("clang loop unroll(disable)") {before[at]}'
    return f'asm volatile("# {what} {label[1] if label else "unnamed"}");'


def _last(lines: list[str], pattern: re.Pattern[str]) -> int:
    """The last line that begins like `pattern`."""
    return max(i for i, line in enumerate(lines) if pattern.match(line))

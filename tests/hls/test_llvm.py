"""Trip counts of the HLS core's loops, as LLVM's scalar evolution has them.

Vitis HLS is built on the same analysis: a loop whose count it cannot tell when the loop begins gets
no burst, does not flatten, and has no latency in a report.  Skipped where clang and opt are absent
(Debian: clang and llvm).
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from penstock.hls.sources import SOURCE_DIR, sources
from penstock.program.config import get_config
from penstock.program.cplusplus import CONFIG_HEADER, config_header

#: Loops that end when something happens, by function.  `convolve`: the step loop, and
#: `fetch_ahead`: beats come when the memory has them.  `penstock`: descriptors (a `continue` makes
#: two loops of one), and those left out behind one.
OPEN_LOOPS = {"convolve": 1, "fetch_ahead": 1, "penstock": 3}
#: Constant only when the loop around it is unrolled, which it is.
UNROLLED_LOOPS = {"geometry_of": 1}

#: What makes values of variables, without inlining or unrolling anything.
PASSES = "sroa,early-cse,simplifycfg,instcombine,loop-simplify,print<scalar-evolution>"
FUNCTION = re.compile(r"^Determining loop execution counts for: @(\S+)", re.M)
UNKNOWN = re.compile(r"^Loop %(\S+): (?:<multiple exits> )?Unpredictable backedge-taken", re.M)


def llvm_tools() -> tuple[str, str] | None:
    """clang++ and opt of one release, the newest."""
    for release in ("", *(f"-{number}" for number in range(22, 13, -1))):
        clang = shutil.which(f"clang++{release}")
        if clang is None:
            continue
        said = subprocess.run([clang, "--version"], capture_output=True, text=True).stdout
        major = re.search(r"version (\d+)", said)
        for opt in map(shutil.which, (f"opt-{major[1]}" if major else "opt", "opt")):
            known = opt and subprocess.run([opt, "--version"], capture_output=True, text=True)
            if opt and known and major and re.search(rf"version {major[1]}\.", known.stdout):
                return clang, opt
    return None


TOOLS = llvm_tools()
needs_llvm = pytest.mark.skipif(TOOLS is None, reason="no clang++ with opt of the same release")


def open_loops(folder: Path, config: str, unit: Path) -> dict[str, int]:
    """Function -> its loops without a trip count that is known when they begin."""
    assert TOOLS
    clang, opt = TOOLS
    (folder / CONFIG_HEADER).write_text(config_header(get_config(config)))
    places = [folder, SOURCE_DIR, *(SOURCE_DIR / f for f in ("bus_plain", "banks", "types_plain"))]
    flags = ["-std=c++14", "-O0", "-Xclang", "-disable-O0-optnone", "-w", "-S", "-emit-llvm"]
    includes = [f"-I{place}" for place in places]
    subprocess.run([clang, *flags, *includes, str(unit), "-o", "unit.ll"], cwd=folder, check=True)
    command = [opt, f"-passes=function({PASSES})", "-disable-output", "unit.ll"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stderr
    found: dict[str, int] = {}
    parts = FUNCTION.split(said)
    for mangled, text in zip(parts[1::2], parts[2::2], strict=True):
        if count := len(set(UNKNOWN.findall(text))):
            found[unmangled(mangled)] = count
    return found


def unmangled(name: str) -> str:
    """The function's own name: the last of `_ZN2ps8convolveE...`, or of `_Z8penstockP...`."""
    rest, last = re.sub(r"^_Z(N[KL]*)?", "", name), name
    while match := re.match(r"(\d+)", rest):
        end = match.end() + int(match[1])
        last, rest = rest[match.end() : end], rest[end:]
    return last


@needs_llvm
@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("unit", sources(), ids=lambda path: path.stem)
def test_loops_have_trip_counts(tmp_path: Path, config: str, unit: Path) -> None:
    allowed = OPEN_LOOPS | UNROLLED_LOOPS
    found = open_loops(tmp_path, config, unit)
    assert {name: count for name, count in found.items() if count > allowed.get(name, 0)} == {}


@needs_llvm
def test_the_open_loops_are_seen(tmp_path: Path) -> None:
    """The analysis looks at the functions by the names above."""
    for name, unit in {"convolve": "ps_convolve", "fetch_ahead": "ps_fetch"}.items():
        found = open_loops(tmp_path, "tiny", SOURCE_DIR / f"{unit}.cpp")
        assert found[name] == OPEN_LOOPS[name]


@needs_llvm
@pytest.mark.parametrize(
    "head, known",
    [
        ("uint32_t n = *count; for (uint32_t i = 0; i < n; ++i)", True),
        ("for (uint32_t i = 0; i < *count; ++i)", False),  # a store in the loop may change it
        ("for (uint32_t i = 0; out[i] != 0; ++i)", False),
    ],
)
def test_a_loop_without_a_count_is_found(tmp_path: Path, head: str, known: bool) -> None:
    unit = tmp_path / "unit.cpp"
    unit.write_text(
        "#include <cstdint>\n"
        f"void work(const uint32_t* count, uint32_t* out) {{ {head} out[i] = i; }}\n"
    )
    assert open_loops(tmp_path, "tiny", unit) == ({} if known else {"work": 1})

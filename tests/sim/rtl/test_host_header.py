"""`ps_host.h`: constants for hosts written in C, from the same definitions as the driver's."""

import re
import subprocess
from pathlib import Path

from penstock.program.core.counters import COUNTER_NAMES
from penstock.program.core.registers import AP_CTRL, OFFSETS, WATCHDOG_CYCLES, ErrorCode
from penstock.sim.host_header import HOST_HEADER, host_header


def test_values_are_the_definitions() -> None:
    found = dict(re.findall(r"^#define PS_(\w+) (\w+?)u\b", host_header(), re.M))
    values = {name: int(text, 0) for name, text in found.items()}
    assert {name: values[f"REG_{name.upper()}"] for name in OFFSETS} == OFFSETS
    assert values["REG_AP_CTRL"] == AP_CTRL
    assert {code: values[f"ERROR_{code.name}"] for code in ErrorCode} == {
        code: int(code) for code in ErrorCode
    }
    assert values["WATCHDOG_CYCLES"] == WATCHDOG_CYCLES
    assert [values[f"COUNT_{name.upper()}"] for name in COUNTER_NAMES] == [
        4 * i for i in range(len(COUNTER_NAMES))
    ]


def test_any_c_compiler_takes_it(tmp_path: Path) -> None:
    """C89 and C++, every warning an error, included twice."""
    (tmp_path / HOST_HEADER).write_text(host_header())
    lines = [f'#include "{HOST_HEADER}"'] * 2 + ["int values[] = {"]
    lines += [
        f"  (int)PS_{name}," for name in re.findall(r"^#define PS_(\w+) ", host_header(), re.M)
    ]
    source = tmp_path / "host.c"
    source.write_text("\n".join([*lines, "  0};", ""]))
    for flags in (["-x", "c", "-std=c89"], ["-x", "c++", "-std=c++11"]):
        command = ["g++", *flags, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
        done = subprocess.run([*command, str(source)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

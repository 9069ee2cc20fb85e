"""The static proof of the HLS core: every check holds, and each finds a fault in the sources."""

import re
from functools import cache

import pytest

from penstock.hls.proof.__main__ import table
from penstock.hls.proof.check import Proof, prove
from penstock.hls.proof.translate import texts
from penstock.hls.sources import SOURCE_DIR, VITIS_BUS
from penstock.program.core.config import CONFIGS, get_config


@cache
def proof(config: str) -> Proof:
    return prove(get_config(config))


@pytest.mark.parametrize(
    "config",
    [
        "tiny",
        pytest.param("z7020", marks=pytest.mark.slow),
        *(pytest.param(c, marks=pytest.mark.long) for c in CONFIGS if c not in ("tiny", "z7020")),
    ],
)
def test_every_check_holds(config: str) -> None:
    assert [str(finding) for finding in proof(config).findings] == []


def test_every_pipelined_loop_is_seen() -> None:
    found = {loop.label for loop in proof("tiny").loops}
    heads = re.compile(
        r"^ *(\w+):\n *(?:for|while) .*\n(?: *//.*\n|#pragma.*\n)*?#pragma HLS PIPELINE", re.M
    )
    assert found == {label for text in texts().values() for label in heads.findall(text)}
    assert {"step_loop", "fetch_loop", "load_burst", "record_burst"} <= found


def test_the_table_has_a_line_a_loop() -> None:
    lines = table(proof("tiny")).split("\n")
    assert len(lines) == 2 + len(proof("tiny").loops)
    step = next(line for line in lines if "step_loop" in line)
    assert "fmem 1 + 1" in step and "wbuf 1 + 1" in step


def test_the_bus_of_the_proof_has_the_names_of_the_others() -> None:
    pattern = re.compile(r"inline (\w+) (\w+)\(")
    names = pattern.findall(texts()["ps_bus.h"])
    vitis = (SOURCE_DIR / VITIS_BUS / "ps_bus.h").read_text(encoding="utf-8")
    assert names == pattern.findall(vitis)


#: (file, text, what stands there instead, the check that finds it, where)
MUTANTS = {
    "a bound in memory": (
        "ps_exit.cpp",
        "exit_sum:\n  for (uint32_t i = 0; i < logits;",
        "exit_sum:\n  for (uint32_t i = 0; i < d.cin;",
        "trip count",
        "exit_sum",
    ),
    "one iteration too many": (
        "ps_move.cpp",
        "store_burst:\n  for (uint32_t i = 0; i < beats;",
        "store_burst:\n  for (uint32_t i = 0; i < beats + 1;",
        "bus",
        "store_burst",
    ),
    "a slice before the window": (
        "ps_convolve.cpp",
        "    if (refill || step) read_window(",
        "    if (slice) drain_slice(finish, drain, fetch.rows, shadow, old, sums, fmem, pool);\n"
        "    if (refill || step) read_window(",
        "recurrence",
        "step_loop",
    ),
    "a last step that is compared for": (
        "ps_array.h",
        "(at.last_column && at.last_row && at.last_channel)",
        "(at.kw + 1 == n.kernel && at.kh + 1 == n.kernel && at.position + 1 == n.n_in)",
        "recurrence",
        "step_loop",
    ),
    "words that are collected in a block RAM": (
        "penstock.cpp",
        "ARRAY_PARTITION variable=fetch.taker.words complete",
        "BIND_STORAGE variable=fetch.taker.words type=ram_s2p impl=bram",
        "recurrence",
        "step_loop",
    ),
    "a dependence that nothing excludes": (
        "ps_pool.cpp",
        "#pragma HLS DEPENDENCE variable=fmem type=inter false\n",
        "",
        "recurrence",
        "pool_taps",
    ),
    "a buffer of 96 words": (
        "ps_array.cpp",
        "address / BEAT_BYTES % WBUF_WORDS",
        "address / BEAT_BYTES % 96",
        "division",
        "step_loop",
    ),
    "feature memory in one piece": (
        "penstock.cpp",
        "#pragma HLS ARRAY_PARTITION variable=fmem complete dim=2\n",
        "",
        "ports",
        "step_loop",
    ),
    "a second read of a list": (
        "ps_convolve.cpp",
        "channel_at(array_lists, d.in_list, at.position);",
        "channel_t(channel_at(array_lists, d.in_list, at.position) +\n"
        "                    channel_at(array_lists, d.in_list, begun));",
        "ports",
        "step_loop",
    ),
    "options of one port": (
        "penstock.cpp",
        "bundle=gmem depth=INPUT_BEATS max_read_burst_length=16",
        "bundle=gmem depth=INPUT_BEATS max_read_burst_length=64",
        "options",
        "gmem",
    ),
    "a loop over banks that stays one": (
        "ps_convolve.cpp",
        "    for (uint32_t i = 0; i < WB; ++i) {\n#pragma HLS UNROLL\n",
        "    for (uint32_t i = 0; i < uint32_t(WB) - d.kernel; ++i) {\n",
        "unrolled",
        "step_loop",
    ),
    "weights that are not taken there": (
        "ps_convolve.cpp",
        "beats += take_next(plan, next, weights, reads, scores, wbuf, fetch);",
        "beats += 0;",
        "overlap",
        "step_loop",
    ),
    "an address that is multiplied": (
        "ps_move.cpp",
        "row_from += next_from;",
        "row_from = row * d.width;",
        "multipliers",
        "copy_planes",
    ),
    "a descriptor that is checked once more": (
        "ps_descriptors.cpp",
        "  fill(cache, limits, most, filling, ahead[4]);\n",
        "  fill(cache, limits, most, filling, ahead[4]);\n"
        "  if (!ahead[4].valid) fill(cache, limits, most, filling, ahead[0]);\n",
        "multipliers",
        "check",
    ),
    "a GATE that waits": (
        "penstock.cpp",
        "const uint32_t map_cycles = run_map(d, fmem);",
        "uint32_t map_cycles = 0;\n      if (d.op != OP_GATE) map_cycles = run_map(d, fmem);",
        "side by side",
        "calls",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
def test_a_fault_is_found(name: str) -> None:
    file, old, new, check, where = MUTANTS[name]
    files = texts()
    assert files[file].count(old) == 1
    files[file] = files[file].replace(old, new)
    found = prove(get_config("tiny"), files=files).findings
    assert (check, where) in {(finding.check, finding.where) for finding in found}

"""Each check of the static proof on the smallest source it is about: with the fault and without."""

import pytest

from penstock.hls.proof.check import prove
from penstock.hls.proof.translate import texts
from penstock.program.core.config import get_config

HEAD = """
#include "ps_bus.h"
#include "ps_config.h"
"""
TOP = "void penstock(ps::read_port_t in, ps::write_port_t out, uint32_t count, uint32_t other) {"
PIPELINED = """{{
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=9
{body}
  }}
"""


def found(source: str, check: str) -> list[str]:
    """What one check says of a source."""
    library = texts()
    files = {name: library[name] for name in ("ps_bus.h", "ps_types.h")}
    proof = prove(get_config("tiny"), files=files | {"unit.cpp": HEAD + source})
    return [finding.what for finding in proof.findings if finding.check == check]


def loop(body: str, head: str = "for (uint32_t i = 0; i < count; ++i)", before: str = "") -> str:
    """A top function of one pipelined loop."""
    return f"{TOP}\n{before}\nwork:\n  {head} {PIPELINED.format(body=body)}}}\n"


#: The requests and the end of a loop that copies a burst.
BURST = """
  ps::Writes writes;
  ps::begin_write(out, writes, 0, 1);
  ps::Reads reads;
  ps::clear_reads(reads);
  ps::ask(in, reads, other, count);
  uint64_t sum = 0;
"""
#: A memory whose contents are used.
MEMORY = """
  static uint32_t memory[64];
#pragma HLS BIND_STORAGE variable=memory type=ram_s2p impl=bram
  memory[other & 63] = count;
  uint32_t sum = other;
"""
USED = "\n    out[i] = sum;"


@pytest.mark.parametrize(
    "head, known",
    [
        ("for (uint32_t i = 0; i < count; ++i)", True),
        ("for (uint32_t i = count; i != 0; --i)", True),
        ("for (uint32_t i = 0; i < out[0]; ++i)", False),  # a write in the loop may change it
        ("for (uint32_t i = 0; out[i] != 0; ++i)", False),
        ("for (uint32_t i = 1; i < count; i = 3 * i)", False),
        ("for (uint32_t i = 0; i < count && out[i] != 0; ++i)", False),
    ],
)
def test_trip_count(head: str, known: bool) -> None:
    said = found(loop("    out[i] = i;", head), "trip count")
    assert bool(said) is not known


@pytest.mark.parametrize(
    "body, fits",
    [
        ("    sum = sum + i;", True),
        ("    sum = sum * 3 + i;", False),  # a product and a sum an iteration
        ("    sum = sum > i ? sum - i : sum + count;", True),
        ("    if (sum + i > count) sum = (sum + i) >> (sum & 7);", True),
        ("    if (sum + i > count) sum = ((sum + i) >> (sum & 7)) + other;", False),
        ("    sum = memory[i & 63] + i;", True),
        ("    memory[i & 63] = memory[i & 31] + 1; sum = i;", False),  # through a block RAM
        ("    sum = memory[sum & 63];", False),  # an address that was just read
        ("    sum = i; memory[(i + 1) & 63] = sum;", True),
    ],
)
def test_recurrence(body: str, fits: bool) -> None:
    said = found(loop(body + USED, before=MEMORY), "recurrence")
    assert bool(said) is not fits, said


def test_a_write_before_a_read_is_waited_for_unless_it_goes_elsewhere() -> None:
    """DEPENDENCE inter says nothing of the same iteration: there the order is the source's."""
    free = "#pragma HLS DEPENDENCE variable=memory type=inter false\n"
    write, read = "    memory[other & 63] = sum;\n", "    sum = memory[(count + i) & 63];\n"
    assert found(loop(free + read + write + USED, before=MEMORY), "recurrence") == []
    assert found(loop(free + write + read + USED, before=MEMORY), "recurrence") != []
    assert found(loop(read + write + USED, before=MEMORY), "recurrence") != []


@pytest.mark.parametrize("by, fits", [("512", True), ("576", False), ("other", False)])
@pytest.mark.parametrize("sign", ["/", "%"])
def test_division(by: str, sign: str, fits: bool) -> None:
    said = found(loop(f"    out[i] = i {sign} {by};"), "division")
    assert bool(said) is not fits


@pytest.mark.parametrize(
    "body, partition, fits",
    [
        ("    sum += memory[i & 63];", "", True),
        ("    sum += memory[i & 63] + memory[(i + 1) & 63];", "", False),
        ("    sum += memory[i & 63] + memory[i & 63];", "", True),
        ("    if (i & 1) sum += memory[i & 63]; else sum += memory[count & 63];", "", True),
        ("    memory[i & 63] = i; memory[(i + other) & 63] = sum; sum += memory[7];", "", False),
        ("    sum += memory[i & 63] + memory[(i + 1) & 63];", "complete", True),
    ],
)
def test_ports(body: str, partition: str, fits: bool) -> None:
    pragma = f"#pragma HLS ARRAY_PARTITION variable=memory {partition}\n" if partition else ""
    assert bool(found(loop(body + USED, before=MEMORY + pragma), "ports")) is not fits


@pytest.mark.parametrize("dim, fits", [(1, False), (2, True)])
def test_ports_of_a_partitioned_memory(dim: int, fits: bool) -> None:
    """A row of eight banks is one access each, if it is the second index that is split."""
    before = f"""
  static uint8_t memory[64][8];
#pragma HLS ARRAY_PARTITION variable=memory complete dim={dim}
#pragma HLS BIND_STORAGE variable=memory type=ram_s2p impl=bram
  memory[other & 63][count & 7] = count;
"""
    body = """
    uint64_t sum = 0;
  banks:
    for (uint32_t b = 0; b < 8; ++b) {
#pragma HLS UNROLL
      sum += memory[(i + other) & 63][b];
    }
    out[i] = sum;
"""
    assert bool(found(loop(body, before=before), "ports")) is not fits


@pytest.mark.parametrize(
    "body, head, fits",
    [
        ("    sum += ps::take(in, reads);", "i < count", True),
        ("    sum += ps::take(in, reads);", "i < other", False),  # not what was asked for
        ("    sum += ps::take(in, reads);", "i <= count", False),
        ("    sum += ps::take(in, reads);", "i + 1 < count", False),
        ("    sum += ps::take(in, reads);", "i != count", True),
        ("    sum += ps::take(in, reads);", "count > i", True),
        ("    if (i != other) sum += ps::take(in, reads);", "i < count", False),
        ("    sum += ps::take(in, reads) + ps::take(in, reads);", "i < count", False),
        ("    sum += ps::take(in, reads); ++reads.next;", "i < count", False),
        ("    sum += in[i * other];", "i < count", False),
    ],
)
def test_bus(body: str, head: str, fits: bool) -> None:
    end = "  ps::put(out, writes, sum);\n}\n"
    source = loop(body, f"for (uint32_t i = 0; {head}; ++i)", BURST).removesuffix("}\n") + end
    assert bool(found(source, "bus")) is not fits


def test_options() -> None:
    line = "#pragma HLS INTERFACE m_axi port={} bundle=gmem depth={} num_read_outstanding={}\n"
    equal = line.format("in", 8, 16) + line.format("out", 9, 16)
    assert found(loop("    out[i] = i;", before=equal), "options") == []
    different = line.format("in", 8, 16) + line.format("out", 8, 4)
    assert found(loop("    out[i] = i;", before=different), "options") != []


@pytest.mark.parametrize("most, fits", [("400", True), ("other", False)])
def test_unrolled(most: str, fits: bool) -> None:
    body = f"""
    uint64_t sum = 0;
  inner:
    for (uint32_t k = 0; k < {most}; ++k) {{
#pragma HLS UNROLL
      sum += out[k];
    }}
    out[i] = sum;
"""
    assert bool(found(loop(body), "unrolled")) is not fits


@pytest.mark.parametrize(
    "second, between, fits",
    [("two", "", True), ("one", "", False), ("two", "if (other != 3) ", False)],
)
def test_side_by_side(second: str, between: str, fits: bool) -> None:
    calls = "".join(
        f"void {name}(uint32_t* where, uint32_t what) {{\n#pragma HLS INLINE off\n"
        "  where[what & 7] = what;\n}\n"
        for name in ("run_map", "run_beside", "prepare_ahead", "execute")
    )
    body = f"""
  uint32_t one[8], two[8];
  run_map(one, count);
  {between}run_beside({second}, other);
  prepare_ahead(one, other);
  execute(two, count);
"""
    source = f"{calls}{TOP}{body}  out[0] = one[3] + two[2];\n}}\n"
    assert bool(found(source, "side by side")) is not fits


def test_overlap() -> None:
    """Weights in one loop, products in the next."""
    products = "".join(f"sum += weight * int8_t(other >> {n}) * {n + 3};\n" for n in range(16))
    together = f"{BURST}\nstep_loop:\n  for (uint32_t i = 0; i < count; ++i) " + PIPELINED.format(
        body=f"    const uint64_t weight = ps::take(in, reads);\n{products}"
    )
    apart = together.replace("ps::take(in, reads)", "i + count")
    end = "  ps::put(out, writes, sum);\n}\n"
    assert found(TOP + together + end, "overlap") == []
    assert found(TOP + apart + end, "overlap") != []

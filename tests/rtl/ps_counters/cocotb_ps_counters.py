"""ps_counters: each cycle in one class, what moved, and a record that holds until the next."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from penstock.program.core.counters import COUNTER_NAMES
from penstock.sim.cocotb.bench import TIMEOUT, bench_config, bench_rng
from penstock.sim.cocotb.stream import unpack

#: The classes of a cycle: the first whose input is high.
CLASSES = (
    ("mac_i", "mac"),
    ("weight_wait_i", "weight_wait"),
    ("conv_i", "drain"),
    ("copy_i", "copy"),
    ("gate_i", "gate"),
    ("io_i", "io"),
    ("running_i", "overhead"),
)
BYTES = (
    ("weight_beat_i", "weight_bytes"),
    ("read_beat_i", "read_bytes"),
    ("write_beat_i", "write_bytes"),
)
FLAGS = ("running_i", *(name for name, _ in CLASSES[:-1] + BYTES), "executed_i", "skipped_i")


def model(inputs: dict[str, int]) -> dict[str, int]:
    """What one cycle adds."""
    add = dict.fromkeys(COUNTER_NAMES, 0)
    add["cycles"] = inputs["running_i"]
    for name, counter in CLASSES:
        if inputs[name]:
            add[counter] = 1
            break
    for name, counter in BYTES:
        add[counter] = 8 * inputs[name]
    add["executed"] = inputs["executed_i"]
    add["skipped"] = inputs["skipped_i"]
    if inputs["executed_i"] or inputs["skipped_i"]:
        add["channels_executed"] = inputs["channels_executed_i"]
        add["channels_skipped"] = inputs["channels_skipped_i"]
    return add


@cocotb.test(**TIMEOUT)
async def random_cycles(dut: Any) -> None:
    """Random inputs, images of 1 to 60 cycles; the record changes only at the end of one."""
    rng = bench_rng()
    channels = bench_config().max_channels
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    totals = dict.fromkeys(COUNTER_NAMES, 0)
    record: list[int] | None = None
    images = 0
    for cycle in range(4000):
        clear = cycle == 0 or rng.random() < 1 / 30 or cycle in (100, 101, 102)
        inputs = {name: int(rng.random() < 0.4) for name in FLAGS}
        inputs["channels_executed_i"] = rng.choice([0, 1, channels, rng.randrange(channels)])
        inputs["channels_skipped_i"] = rng.choice([0, 1, channels, rng.randrange(channels)])
        inputs["exit_i"] = rng.getrandbits(32)
        for name, value in inputs.items():
            getattr(dut, name).value = value
        dut.clear_i.value = int(clear)
        await RisingEdge(dut.clk_i)
        if record is not None:
            assert unpack(int(dut.counters_o.value), 32, len(COUNTER_NAMES)) == record
        for name, value in model(inputs).items():
            totals[name] += value
        if clear:
            totals["exit"] = inputs["exit_i"]
            # What was counted before the first clear is no one's.
            if images:
                record = list(totals.values())
            totals = dict.fromkeys(COUNTER_NAMES, 0)
            images += 1
    assert images > 80

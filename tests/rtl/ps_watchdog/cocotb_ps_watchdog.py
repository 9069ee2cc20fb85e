"""ps_watchdog: a pulse after so many cycles without progress, and not one earlier."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from penstock.sim.cocotb.bench import TIMEOUT, bench_rng, start


async def pulses(dut: Any, progress: list[int], running: list[int]) -> list[int]:
    """hung_o in each cycle of the given inputs, from a fresh reset on."""
    dut.progress_i.value = dut.running_i.value = 0
    await start(dut.clk_i, dut.rst_ni)
    seen = []
    for moves, runs in zip(progress, running, strict=True):
        dut.progress_i.value, dut.running_i.value = moves, runs
        await RisingEdge(dut.clk_i)
        seen.append(int(dut.hung_o.value))
    return seen


def model(progress: list[int], running: list[int], limit: int) -> list[int]:
    """Progress counts one cycle late; the count starts again after a pulse."""
    idle, late, seen = 0, 0, []
    for moves, runs in zip(progress, running, strict=True):
        hung = int(bool(runs) and not late and idle == limit - 1)
        seen.append(hung)
        idle = 0 if not runs or late or hung else idle + 1
        late = moves
    return seen


@cocotb.test(**TIMEOUT)
async def random_progress(dut: Any) -> None:
    """Against the model, progress often, rare and never."""
    rng, limit = bench_rng(), int(dut.Cycles.value)
    progress, running = [], []
    for chance in (0.5, 0.1, 0.02, 0.0):
        progress += [int(rng.random() < chance) for _ in range(400)]
        running += [int(rng.random() < 0.98) for _ in range(400)]
    seen = await pulses(dut, progress, running)
    assert seen == model(progress, running, limit)
    assert sum(seen) > 5


@cocotb.test(**TIMEOUT)
async def exact_limit(dut: Any) -> None:
    """One progress in every `limit` cycles is enough for ever; none gives a pulse in each."""
    limit = int(dut.Cycles.value)
    cycles = 20 * limit
    enough = [int(i % limit == 0) for i in range(cycles)]
    assert sum(await pulses(dut, enough, [1] * cycles)) == 0
    assert sum(await pulses(dut, [0] * cycles, [1] * cycles)) == 20

"""ps_sequencer: what is started, in which order and when; predicates, loops, every way to stop.

The bench plays prefetch, checks, score memory and the units, which stay busy for random times.
"""

import dataclasses
import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from penstock.program.core.config import ALL_CHANNELS, TABLE_BYTES
from penstock.program.core.descriptor import DEPTHWISE, GLOAD_TABLE, Descriptor, Op
from penstock.program.core.registers import ErrorCode
from penstock.sim.cocotb.bench import STALLS, TIMEOUT, bench_config, bench_rng, stall_pattern, start
from penstock.sim.cocotb.stream import pack, pulse, read_port

IN_STRIDE, OUT_STRIDE, INPUT, OUTPUT = 64, 128, 0x1_0000_0000, 0xFF_0000_0000
SCORES = 8  # score addresses; the odd ones hold 0
LISTS = ((3, 6), (0, 4))  # (count, bound) of each list
MOVES = (Op.LOAD, Op.GLOAD, Op.STORE)

#: (what, descriptor index, input channels, output channels)
Event = tuple[str, int, int, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run must do."""

    events: list[Event]
    executed: int
    skipped: int
    channels: tuple[int, int]  # executed, skipped
    error: ErrorCode
    position: tuple[int, int]  # image, descriptor


def _score(slot: int) -> int:
    return 0 if slot % 2 else 1 + slot


def model(program: list[Descriptor], images: int, faults: dict[int, ErrorCode]) -> Outcome:
    """Run a program in the abstract (docs/program.md, "Running"); `faults`: what ps_check says."""
    events: list[Event] = []
    executed = skipped = done = left = 0
    image = pc = 0
    error = ErrorCode.NONE
    table = False  # of activations, is loaded

    def outcome() -> Outcome:
        return Outcome(
            events=events,
            executed=executed,
            skipped=skipped,
            channels=(done, left),
            error=error,
            position=(image, pc),
        )

    while True:
        if pc >= len(program):
            error = ErrorCode.PROGRAM_END
            return outcome()
        d = program[pc]
        if pc in faults:
            error = faults[pc]
            return outcome()
        skip = bool(d.pred_en) and (_score(d.pred_slot) == 0) != bool(d.pred_not)
        if skip and not (d.op == Op.CONV and d.pred_empty):
            skipped += 1
            left += d.cout if d.op == Op.CONV else 0
            pc += 1
            continue
        n_in = n_out = 0
        if d.op == Op.CONV:
            for selector, limit, used in ((d.in_list, d.cin, not skip), (d.out_list, d.cout, True)):
                if used and selector != ALL_CHANNELS and LISTS[selector][1] > limit:
                    error = ErrorCode.BOUNDS
                    return outcome()
            if d.has_table and not table:
                error = ErrorCode.BOUNDS
                return outcome()
            n_in = d.cin if d.in_list == ALL_CHANNELS else LISTS[d.in_list][0]
            n_in = 0 if skip else 1 if d.depthwise else n_in
            n_out = d.cout if d.out_list == ALL_CHANNELS else LISTS[d.out_list][0]
            done, left = done + n_out, left + d.cout - n_out
        executed += 1
        table = table or d.loads_table
        if d.op == Op.CONV and n_out:
            events += [("fetch", pc, n_in, n_out), ("conv", pc, n_in, n_out)]
        elif d.op in (Op.COPY, Op.POOL):
            events.append(("copy", pc, 0, 0))
        elif d.op in (Op.GATE, Op.DENSE):
            events.append(("gate", pc, 0, 0))
        elif d.op in MOVES:
            events.append(("move", pc, 0, 0))
        elif d.op == Op.EXIT_IF:
            events.append(("exit", pc, 0, 0))
            pc = d.length - 1 if d.w_stride else pc
        elif d.op == Op.HALT:
            events.append(("record", pc, image, 0))
            if image == images - 1:
                return outcome()
            image, pc = image + 1, d.length - 1
        pc += 1


class Bench:
    """Everything around the sequencer."""

    def __init__(self, dut: Any, idle: str = "none") -> None:
        self.dut = dut
        self.config = bench_config()
        self.rng: random.Random = bench_rng()
        self.idle = stall_pattern(idle, self.rng)
        self.program: list[Descriptor] = []
        self.faults: dict[int, ErrorCode] = {}
        self.events: list[Event] = []
        self.units = dict.fromkeys(("fetch", "conv", "drain", "copy", "gate", "move", "exit"), 0)
        self.before: set[str] = set()  # units that were busy a cycle ago
        self.sums = False  # the last convolution makes sums
        self.loads = False  # the last move is a LOAD, or the GLOAD of a table
        self.executed = self.skipped = self.done = self.left = 0
        self.records: list[tuple[int, int, int]] = []
        #: GATEs and DENSEs, of a LOAD fetches, started while one ran.
        self.beside = {"copy": 0, "conv": 0, "load": 0}
        self.next = 0
        for name in ("start", "desc_valid", "desc_at_end", "fetch_busy", "conv_busy", "copy_busy"):
            getattr(dut, f"{name}_i").value = 0
        dut.epilogue_busy_i.value = dut.misaligned_i.value = 0
        for name in ("gate_busy", "move_busy", "masters_busy", "read_error", "write_error", "hung"):
            getattr(dut, f"{name}_i").value = 0
        dut.exit_taken_i.value = 0

    async def start(self) -> None:
        dut, config = self.dut, self.config
        width = config.max_channels.bit_length()
        dut.list_count_i.value = pack([count for count, _ in LISTS], width)
        dut.list_bound_i.value = pack([bound for _, bound in LISTS], width)
        dut.input_i.value = INPUT
        dut.output_i.value = OUTPUT
        dut.input_stride_i.value = IN_STRIDE
        dut.output_stride_i.value = OUT_STRIDE
        await start(dut.clk_i, dut.rst_ni)
        lookup = lambda: _score(int(dut.score_addr_o.value))  # noqa: E731
        cocotb.start_soon(read_port(dut.clk_i, dut.score_i, lookup))
        cocotb.start_soon(self._prefetch())

    async def _prefetch(self) -> None:
        """Descriptors from the asked one on; the code of ps_check settles two cycles later."""
        dut = self.dut
        shown: int | None = None
        age = 0
        while True:
            valid = self.next < len(self.program) and (shown == self.next or not next(self.idle))
            dut.desc_valid_i.value = int(valid)
            dut.desc_at_end_i.value = int(self.next >= len(self.program))
            if valid:
                age = age + 1 if shown == self.next else 0
                shown = self.next
                dut.desc_i.value = int.from_bytes(self.program[shown].encode(), "little")
                code = self.faults.get(shown, ErrorCode.NONE)
                wrong = ErrorCode.OPCODE if code == ErrorCode.NONE else ErrorCode.NONE
                dut.check_error_i.value = int(code if age >= 2 else wrong)
            await RisingEdge(dut.clk_i)
            self._run_units()
            if int(dut.restart_o.value):
                self.next, shown = int(dut.restart_index_o.value), None
            elif int(dut.desc_ready_o.value):
                assert valid, "a descriptor was taken that was not there"
                self.next, shown = self.next + 1, None

    def _run_units(self) -> None:
        """Units are busy from the cycle after their start for a random time."""
        dut, units = self.dut, self.units
        read = lambda name: int(getattr(dut, name).value)  # noqa: E731
        self._count(read)
        busy = {name for name, left in units.items() if left}  # in the cycle before this edge
        self._check_holds(busy | self.before)
        self.before = busy
        for name in units:
            units[name] = max(units[name] - 1, 0)
        for name in ("fetch", "conv", "copy", "gate", "move", "exit", "record"):
            if read(f"{name}_start_o"):
                self._check_start(name, busy)
                units["move" if name == "record" else name] = self.rng.choice([1, 2, 9, 30])
                if name in ("move", "record"):
                    d = self.program[self.next]
                    self.loads = d.op == Op.LOAD or d.loads_table
                if name == "conv":
                    self.sums = bool(self.program[self.next].pool_en)
                    units["drain"] = units["conv"] + self.rng.choice([0, 1, 9, 30])
        dut.fetch_busy_i.value = int(units["fetch"] > 0)
        dut.conv_busy_i.value = int(units["conv"] > 0)
        dut.epilogue_busy_i.value = int(units["drain"] > 0)
        dut.copy_busy_i.value = int(units["copy"] > 0)
        dut.gate_busy_i.value = int(units["gate"] > 0 or units["exit"] > 0)
        if self.next < len(self.program):  # what is taken is known when the unit is idle again
            taken = bool(self.program[self.next].w_stride)
            dut.exit_taken_i.value = int(taken != (units["exit"] > 0))
        dut.move_busy_i.value = int(units["move"] > 0)

    def _count(self, read: Any) -> None:
        executed, skipped = read("executed_o"), read("skipped_o")
        self.executed += executed
        self.skipped += skipped
        if executed or skipped:
            self.done += read("channels_executed_o")
            self.left += read("channels_skipped_o")

    def _check_holds(self, busy: set[str]) -> None:
        """Scores and lists are read by what fetches and issues; a convolution that issues or drains
        uses feature memory; one that makes sums does so until it has drained.  Each counts as
        busy a cycle longer: `busy` has those of the cycle before as well.
        """
        read = lambda name: bool(int(getattr(self.dut, name).value))  # noqa: E731
        array = bool(busy & {"conv", "drain"})
        assert read("sums_busy_o") == (self.sums and array)
        assert read("score_hold_o") == bool(busy & {"fetch", "conv"} or (self.sums and array))
        assert read("memory_hold_o") == array

    def _check_start(self, name: str, busy: set[str]) -> None:
        """A unit starts when what it needs is idle; a GATE beside the array, a DENSE beside a
        convolution, the fetch of one beside both and a LOAD or a table's GLOAD, nothing else.
        """
        dut, index = self.dut, self.next
        sizes = int(dut.n_in_o.value), int(dut.n_out_o.value)
        match name:
            case "fetch":
                assert not busy & {"fetch", "gate"} and ("move" not in busy or self.loads), busy
                self.beside["load"] += "move" in busy
            case "conv" | "copy":
                assert not busy & {"conv", "drain", "copy", "gate", "move"}, busy
            case "gate":
                allowed = {"fetch", "conv", "drain"}
                allowed |= {"copy"} if self.program[index].op == Op.GATE else set()
                assert busy <= allowed, busy
                self.beside["copy"] += "copy" in busy
                self.beside["conv"] += "conv" in busy
            case _:
                assert not busy, (name, busy)
        if name == "record":
            image = int(dut.image_input_o.value) - INPUT
            assert int(dut.image_output_o.value) - OUTPUT == image // IN_STRIDE * OUT_STRIDE
            assert int(dut.counters_clear_o.value)
            assert int(dut.exit_o.value) == index
            self.events.append((name, index, image // IN_STRIDE, 0))
        else:
            sizes = sizes if name in ("fetch", "conv") else (0, 0)
            self.events.append((name, index, *sizes))

    async def run(
        self,
        program: list[Descriptor],
        images: int = 1,
        faults: dict[int, ErrorCode] | None = None,
        **arguments: int,
    ) -> tuple[ErrorCode, tuple[int, int]]:
        """Run to done_o: error and position."""
        dut = self.dut
        self.program, self.faults = program, faults or {}
        self.events.clear()
        self.executed = self.skipped = self.done = self.left = 0
        dut.n_images_i.value = images
        dut.config_hash_i.value = self.config.hash
        for name, value in arguments.items():
            getattr(dut, f"{name}_i").value = value
        await pulse(dut.clk_i, dut.start_i)
        for _ in range(20_000):
            await RisingEdge(dut.clk_i)
            if int(dut.done_o.value):
                position = int(dut.image_o.value), int(dut.position_o.value)
                return ErrorCode(int(dut.error_o.value)), position
        raise AssertionError("no done_o")

    async def check(
        self, program: list[Descriptor], images: int, faults: dict[int, ErrorCode] | None = None
    ) -> Outcome:
        """A run does what the model does."""
        outcome = model(program, images, faults or {})
        error, position = await self.run(program, images, faults)
        assert self.events == outcome.events
        assert (error, position) == (outcome.error, outcome.position)
        assert (self.executed, self.skipped) == (outcome.executed, outcome.skipped)
        assert (self.done, self.left) == outcome.channels
        await RisingEdge(self.dut.clk_i)
        assert not int(self.dut.running_o.value) and not int(self.dut.stop_o.value)
        return outcome


def random_program(rng: random.Random, length: int) -> list[Descriptor]:
    """Any operations, predicated or not, then a HALT that loops to somewhere before it."""
    program = []
    ops = [Op.CONV] * 4 + [Op.COPY, Op.GATE, Op.POOL, Op.GATE, Op.DENSE, *MOVES, Op.EXIT_IF]
    for index in range(length):
        op = rng.choice(ops)
        values = {"pred_en": int(rng.random() < 0.4), "pred_slot": rng.randrange(SCORES)}
        values["pred_not"] = rng.randrange(2)
        if op == Op.CONV:
            values |= {
                "pred_empty": rng.randrange(2),
                "pool_en": rng.randrange(2),
                "cin": rng.randint(6, 20),
                "cout": rng.randint(6, 20),
                "in_list": rng.choice([ALL_CHANNELS, 0, 1]),
                "out_list": rng.choice([ALL_CHANNELS, ALL_CHANNELS, 0, 1]),
            }
            values["length"] = TABLE_BYTES * (rng.random() < 0.2)
            if rng.random() < 0.3:
                values |= {"variant": DEPTHWISE, "in_list": ALL_CHANNELS}
        if op == Op.GLOAD:
            values["variant"] = rng.choice([0, GLOAD_TABLE])
        if op == Op.EXIT_IF:  # w_stride: taken
            later = rng.randint(index + 1, min(index + 5, length))
            values |= {"length": later, "w_stride": rng.randrange(2)}
        if index == 0 and rng.random() < 0.6:  # a table for those behind
            op, values = Op.GLOAD, {"variant": GLOAD_TABLE}
        program.append(Descriptor.make(op, **values))
    return [*program, Descriptor.make(Op.HALT, length=rng.randrange(length))]


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(idle=STALLS)
async def random_programs(dut: Any, idle: str) -> None:
    """Order, predicates, lists, several images; each unit waits for what it must."""
    bench = Bench(dut, idle)
    await bench.start()
    for _ in range(15):
        program = random_program(bench.rng, bench.rng.randint(1, 25))
        await bench.check(program, bench.rng.randint(1, 3))


@cocotb.test(**TIMEOUT)
async def gate_beside_copy(dut: Any) -> None:
    """A GATE does not wait for a COPY or POOL; a DENSE does.  Neither waits for a CONV."""
    bench = Bench(dut)
    await bench.start()
    halt = Descriptor.make(Op.HALT)
    ops = (Op.COPY, Op.POOL, Op.GATE, Op.DENSE)
    copy, pool, gate, dense = (Descriptor.make(op) for op in ops)
    await bench.check([copy, gate, pool, gate] * 15 + [halt], 1)
    assert bench.beside["copy"] > 5
    await bench.check([copy, dense, gate, copy] * 10 + [halt], 1)
    assert not bench.beside["conv"]
    conv = Descriptor.make(Op.CONV, cin=6, cout=6)
    await bench.check([conv, gate, conv, dense] * 10 + [halt], 1)
    assert bench.beside["conv"] > 5


@cocotb.test(**TIMEOUT)
async def exits(dut: Any) -> None:
    """A taken EXIT_IF goes on at its descriptor, on each image anew; one past the end stops."""
    bench = Bench(dut)
    await bench.start()
    store, halt = Descriptor.make(Op.STORE), Descriptor.make(Op.HALT, length=1)
    conv = Descriptor.make(Op.CONV, cin=6, cout=6)
    for taken in (0, 1):
        leave = Descriptor.make(Op.EXIT_IF, length=5, w_stride=taken)
        program = [store, conv, leave, conv, halt, store, halt]
        outcome = await bench.check(program, 3)
        records = [index for what, index, *_ in outcome.events if what == "record"]
        assert records == [6 if taken else 4] * 3
    leave = Descriptor.make(Op.EXIT_IF, length=4, w_stride=1)  # ps_check is the bench's
    assert (await bench.check([conv, leave, halt], 1)).error == ErrorCode.PROGRAM_END


@cocotb.test(**TIMEOUT)
async def list_beyond_the_channels(dut: Any) -> None:
    """BOUNDS when a list may name a channel the map has not; an unused list is not looked at."""
    bench = Bench(dut)
    await bench.start()
    halt = Descriptor.make(Op.HALT)
    base = {"cin": 6, "cout": 6, "in_list": 0, "out_list": 0, "pred_slot": 1}
    for changed, error in (
        ({}, ErrorCode.NONE),
        ({"cin": 5}, ErrorCode.BOUNDS),
        ({"cout": 5}, ErrorCode.BOUNDS),
        ({"cin": 5, "pred_en": 1}, ErrorCode.NONE),
        ({"cin": 5, "pred_en": 1, "pred_empty": 1}, ErrorCode.NONE),
        ({"cout": 5, "pred_en": 1, "pred_empty": 1}, ErrorCode.BOUNDS),
        ({"cout": 5, "pred_en": 1}, ErrorCode.NONE),
    ):
        outcome = await bench.check([Descriptor.make(Op.CONV, **(base | changed)), halt], 1)
        assert outcome.error == error, changed


@cocotb.test(**TIMEOUT)
async def table_of_activations(dut: Any) -> None:
    """BOUNDS when a CONV by table comes before any GLOAD of one that is executed in this run."""
    bench = Bench(dut)
    await bench.start()
    halt = Descriptor.make(Op.HALT)
    plain = Descriptor.make(Op.CONV, cin=6, cout=6)
    by_table = Descriptor.make(Op.CONV, cin=6, cout=6, length=TABLE_BYTES)
    never = {"pred_en": 1, "pred_slot": 1}
    weights = Descriptor.make(Op.GLOAD)
    table, skipped = (
        Descriptor.make(Op.GLOAD, variant=GLOAD_TABLE, **guard) for guard in ({}, never)
    )
    left_out = Descriptor.make(Op.CONV, cin=6, cout=6, length=TABLE_BYTES, **never)
    for program, error in (
        ([table, by_table], ErrorCode.NONE),
        ([by_table], ErrorCode.BOUNDS),  # the table was of another run
        ([weights, by_table], ErrorCode.BOUNDS),
        ([skipped, by_table, table], ErrorCode.BOUNDS),
        ([plain, left_out, table, by_table], ErrorCode.NONE),
    ):
        assert (await bench.check([*program, halt], 2)).error == error, program


@cocotb.test(**TIMEOUT)
async def illegal_descriptor(dut: Any) -> None:
    """The code of ps_check, two cycles old, stops the run at its descriptor, predicated or not."""
    bench = Bench(dut)
    await bench.start()
    for code in (ErrorCode.OPCODE, ErrorCode.FIELD, ErrorCode.BOUNDS):
        program = random_program(bench.rng, 8)
        await bench.check(program, 2, {bench.rng.randrange(8): code})
    await bench.check(random_program(bench.rng, 8)[:-1], 1)  # no HALT


@cocotb.test(**TIMEOUT)
async def refused_at_once(dut: Any) -> None:
    """A foreign configuration, no image, a stride not in whole beats: nothing is started."""
    bench = Bench(dut)
    await bench.start()
    program = random_program(bench.rng, 3)
    for arguments, code in (
        ({"config_hash": bench.config.hash ^ 1}, ErrorCode.CONFIG),
        ({"config_hash": bench.config.hash ^ (1 << 31), "n_images": 0}, ErrorCode.CONFIG),
        ({"n_images": 0}, ErrorCode.FIELD),
        ({"input_stride": 68}, ErrorCode.FIELD),
        ({"input_stride": 64, "output_stride": 129}, ErrorCode.FIELD),
        # Any of the lowest bits of any buffer's address.
        *(({"output_stride": 128, "misaligned": 1 << bit}, ErrorCode.FIELD) for bit in range(12)),
    ):
        assert await bench.run(program, 1, None, **arguments) == (code, (0, 0)), arguments
        assert bench.events == []
    dut.misaligned_i.value = 0
    await bench.check(program, 1)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(which=["read", "write"])
async def bad_response(dut: Any, which: str) -> None:
    """READ or WRITE at any moment: stop_o until the masters are idle, then done_o; no start."""
    bench = Bench(dut)
    await bench.start()
    error = getattr(dut, f"{which}_error_i")
    for delay in (1, 2, 3, 5, 8, 13, 21, 34, 55):
        program = [Descriptor.make(Op.LOAD, length=8)] * 20 + [Descriptor.make(Op.HALT)]
        run = cocotb.start_soon(bench.run(program))
        for _ in range(delay + 1):
            await RisingEdge(dut.clk_i)
        dut.masters_busy_i.value = 1
        await pulse(dut.clk_i, error)
        await RisingEdge(dut.clk_i)
        started = len(bench.events)
        for _ in range(20):
            await RisingEdge(dut.clk_i)
            assert int(dut.stop_o.value) and not int(dut.done_o.value)
        dut.masters_busy_i.value = 0
        code, _ = await run
        assert code == (ErrorCode.READ if which == "read" else ErrorCode.WRITE)
        assert len(bench.events) == started
        for unit in bench.units:  # ps_core resets the units while stop_o is high
            bench.units[unit] = 0
        for _ in range(3):
            await RisingEdge(dut.clk_i)
    await bench.check(random_program(bench.rng, 6), 1)


@cocotb.test(**TIMEOUT)
@cocotb.parametrize(answers=[False, True])
async def hung_bus(dut: Any, answers: bool) -> None:
    """WATCHDOG at any moment; done when the masters are idle, or at the second pulse if never.

    While the bus hangs, a start ends with WATCHDOG and starts nothing; afterwards all is normal.
    """
    bench = Bench(dut)
    await bench.start()
    program = [Descriptor.make(Op.LOAD, length=8)] * 20 + [Descriptor.make(Op.HALT)]
    for delay in (1, 2, 3, 5, 8, 13, 21, 34, 55):
        run = cocotb.start_soon(bench.run(program))
        for _ in range(delay + 1):
            await RisingEdge(dut.clk_i)
        dut.masters_busy_i.value = 1
        await pulse(dut.clk_i, dut.hung_i)
        await RisingEdge(dut.clk_i)
        started = len(bench.events)
        for _ in range(20):
            await RisingEdge(dut.clk_i)
            assert int(dut.stop_o.value) and not int(dut.done_o.value)
        if answers:
            dut.masters_busy_i.value = 0
        else:
            cocotb.start_soon(pulse(dut.clk_i, dut.hung_i))
        assert (await run)[0] == ErrorCode.WATCHDOG
        assert len(bench.events) == started
        for unit in bench.units:  # ps_core resets the units while stop_o is high
            bench.units[unit] = 0
        for _ in range(3):
            await RisingEdge(dut.clk_i)
            assert int(dut.stop_o.value) == (not answers)
        if not answers:  # the bus answers only after another start
            run = cocotb.start_soon(bench.run(program))
            for _ in range(20):
                await RisingEdge(dut.clk_i)
            dut.masters_busy_i.value = 0
            assert (await run)[0] == ErrorCode.WATCHDOG
            assert bench.events == []
        for _ in range(3):
            await RisingEdge(dut.clk_i)
    await bench.check(random_program(bench.rng, 6), 1)

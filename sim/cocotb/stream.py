"""Streams, memory ports and packed values of the benches of single modules."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from cocotb.triggers import RisingEdge

from penstock.program.core.descriptor import Descriptor, Op

T = TypeVar("T")


def pack(values: Iterable[int], width: int) -> int:
    """The packed vector whose element 0 is the lowest; negative values as two's complement."""
    mask = (1 << width) - 1
    return sum((int(value) & mask) << (width * i) for i, value in enumerate(values))


def unpack(value: int, width: int, count: int, *, signed: bool = False) -> list[int]:
    """The `count` elements of a packed vector, element 0 the lowest."""
    mask, half = (1 << width) - 1, 1 << (width - 1)
    elements = [(value >> (width * i)) & mask for i in range(count)]
    return [e - 2 * (e & half) for e in elements] if signed else elements


def descriptor(op: Op, **values: int) -> int:
    """A descriptor as the value of a `desc_t` port."""
    return int.from_bytes(Descriptor.make(op, **values).encode(), "little")


async def cycles(clock: Any, count: int) -> None:
    """Wait for `count` clock edges."""
    for _ in range(count):
        await RisingEdge(clock)


async def wait_for(clock: Any, condition: Callable[[], object], limit: int = 5000) -> None:
    """Wait for an edge at which `condition` holds.

    Raises:
        AssertionError: not within `limit` cycles.
    """
    for _ in range(limit):
        await RisingEdge(clock)
        if condition():
            return
    raise AssertionError(f"nothing after {limit} cycles")


async def pulse(clock: Any, signal: Any) -> None:
    """Drive `signal` high for one cycle."""
    signal.value = 1
    await RisingEdge(clock)
    signal.value = 0


async def send(
    clock: Any,
    valid: Any,
    ready: Any,
    put: Callable[[T], None],
    items: Iterable[T],
    stall: Iterator[bool],
) -> None:
    """Drive a stream: `put` sets the payload.  A `ready` of None takes every word at once."""
    for item in items:
        while next(stall):
            await RisingEdge(clock)
        put(item)
        valid.value = 1
        await RisingEdge(clock)
        while ready is not None and not int(ready.value):
            await RisingEdge(clock)
        valid.value = 0


async def collect(
    clock: Any,
    valid: Any,
    ready: Any,
    get: Callable[[], T],
    stall: Iterator[bool],
    into: list[T],
    count: int | None = None,
) -> None:
    """Take words of a stream `into` a list, `count` of them or for ever; payloads must hold."""
    held: T | None = None
    while count is None or len(into) < count:
        taking = not next(stall)
        ready.value = int(taking)
        await RisingEdge(clock)
        if int(valid.value):
            word = get()
            assert held is None or word == held, f"{held} became {word} before it was taken"
            held = None if taking else word
            if taking:
                into.append(word)
        else:
            assert held is None, f"valid fell before {held} was taken"
    ready.value = 0


async def watch(clock: Any, valid: Any, get: Callable[[], T], into: list[T]) -> None:
    """Record `get()` of every cycle in which `valid` is high."""
    while True:
        await RisingEdge(clock)
        if int(valid.value):
            into.append(get())


async def read_port(clock: Any, data: Any, lookup: Callable[[], int], latency: int = 1) -> None:
    """A memory's read port: `lookup` reads the address and gives the word of this cycle."""
    pipe = deque([0] * (latency - 1))
    while True:
        await RisingEdge(clock)
        pipe.append(lookup())
        data.value = pipe.popleft()


def runs(values: Sequence[int]) -> list[tuple[int, int]]:
    """(first, count) of each run of consecutive integers."""
    found: list[tuple[int, int]] = []
    for value in values:
        if found and sum(found[-1]) == value:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((value, 1))
    return found

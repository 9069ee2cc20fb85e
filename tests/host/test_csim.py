"""The same driver on the HLS core's C++, with the register names Vitis HLS gives it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.host import CoreError
from penstock.program.core.registers import OFFSETS, ErrorCode
from penstock.program.network.package import Package
from penstock.sim.board.csim import CsimBus

Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def core(repository: Path) -> CsimBus:
    return CsimBus(repository / "build" / "host" / "libcsim.so")


def test_100_images_equal_golden(
    open_overlay: Opener, core: CsimBus, package: Package, vectors: Any
) -> None:
    overlay = open_overlay(core, core="hls", config_hash=None)
    assert "input_r_1" in overlay.ip_dict["penstock_0"]["registers"]
    with overlay.load(package) as net:
        net(vectors.images)
        assert len(vectors) == 100
        assert vectors.differing(net.trace.records).sum() == 0
    assert core.runs == 7


@pytest.mark.parametrize(
    "pointer, code", [("program", ErrorCode.READ), ("output", ErrorCode.WRITE)]
)
def test_a_buffer_outside_the_memory(
    open_overlay: Opener,
    core: CsimBus,
    package: Package,
    vectors: Any,
    pointer: str,
    code: ErrorCode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_overlay(core, core="hls", config_hash=None).load(package) as net:
        execute = core.execute

        def lost(memory: Any, base: int, registers: dict[int, int]) -> tuple[int, int]:
            return execute(memory, base, {**registers, OFFSETS[pointer] + 4: 1})

        with monkeypatch.context() as wrong:
            wrong.setattr(core, "execute", lost)
            with pytest.raises(CoreError, match=code.name):
                net(vectors.images[:1])
        net(vectors.images[:4])
        assert vectors.differing(net.trace.records).sum() == 0

"""The harness on a stand-in core (echo_top.sv): memory, stalls, faults, limits, waves, log.

The stand-in is built from the core's own register slave and AXI masters, so this also proves
those three together.
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.program.core.registers import ErrorCode
from penstock.sim.job import Job
from penstock.sim.rtl import build, engine, records
from penstock.sim.rtl.memory import BASES
from penstock.sim.sources import RTL
from tests.sim.options import split

HERE = Path(__file__).parent
SOURCES = [
    *(RTL / f"{name}.sv" for name in ("ps_pkg", "ps_fifo")),
    *(RTL / f"{name}.sv" for name in ("ps_axil_regs", "ps_axi_read", "ps_axi_write")),
    HERE / "echo_top.sv",
]
HASH = 0xECC0
READ_OUTSIDE = 0xBAD
FAIL_ASSERTION = 0xB0B


@pytest.fixture(scope="module")
def library() -> Path:
    return build.build_library("echo", SOURCES, top="echo_top")


@pytest.fixture
def core(library: Path) -> Iterator[engine.RtlCore]:
    core = engine.RtlCore("tiny", library=library)
    yield core
    core.close()


def _images(count: int, stride: int, seed: int = 1) -> engine.Bytes:
    return np.random.default_rng(seed).integers(0, 256, (count, stride), np.uint8)


def _expected(images: engine.Bytes, output_stride: int) -> engine.Bytes:
    expected = np.zeros((len(images), output_stride), np.uint8)
    expected[:, : images.shape[1]] = (images.view("<u8") + np.uint64(1)).view(np.uint8)
    return expected


def _echo(
    core: engine.RtlCore,
    images: engine.Bytes,
    output_stride: int,
    n_descriptors: int = 0,
    config_hash: int = HASH,
    **options: Any,
) -> engine.RunResult:
    job = Job(
        program=b"",
        weights=b"",
        inputs=images,
        output_stride=output_stride,
        n_descriptors=n_descriptors,
        config_hash=config_hash,
    )
    return core.execute(job, **{"max_cycles": 1_000_000, **split(options)})


@pytest.mark.parametrize("latency", [1, 40])
@pytest.mark.parametrize("stall", [0.0, 0.3, {"ar": 0.9}, {"r": 0.9}, {"w": 0.9, "b": 0.9}])
@pytest.mark.parametrize("count, stride", [(1, 8), (3, 136), (2, 8200)])
def test_copies(
    core: engine.RtlCore, count: int, stride: int, stall: float | dict[str, float], latency: int
) -> None:
    images = _images(count, stride)
    for offset in (0, 4096 - 24):
        result = _echo(
            core, images, stride + 16, stall=stall, latency=latency, seed=3, base_offset=offset
        )
        assert (result.message, result.violations) == ("", 0)
        assert (result.error, result.bad_accesses, result.timed_out) == (0, 0, False)
        np.testing.assert_array_equal(result.output, _expected(images, stride + 16))
        assert result.read_beats == result.write_beats == count * stride // 8


def test_same_seed_same_cycles_and_the_reset_is_optional(core: engine.RtlCore) -> None:
    images = _images(4, 512)
    first, again = (_echo(core, images, 512, stall=0.4, seed=9) for _ in range(2))
    other = _echo(core, images, 512, stall=0.4, seed=10)
    assert first.cycles == again.cycles != other.cycles
    quiet = _echo(core, images, 512)
    core.close()  # a new model is reset, asked or not
    assert _echo(core, images, 512, reset=False).cycles == quiet.cycles
    assert _echo(core, images, 512, reset=False).cycles == quiet.cycles < first.cycles


def test_latency_is_counted_from_the_handshake(core: engine.RtlCore) -> None:
    images = _images(1, 8)
    near, far = (_echo(core, images, 8, latency=latency).cycles for latency in (10, 110))
    assert far - near == 200  # one read and one write response


def test_configuration_error_is_a_result(core: engine.RtlCore) -> None:
    result = _echo(core, _images(1, 8), 8, config_hash=1)
    assert result.error == ErrorCode.CONFIG
    assert not result.output.any()


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("beat", [1, 17, 40, 64])
def test_slverr_on_a_read_stops_the_core(core: engine.RtlCore, beat: int, stall: float) -> None:
    images = _images(4, 512)
    result = _echo(core, images, 512, fault_read=beat, stall=stall)
    assert (result.error, result.violations, result.timed_out) == (ErrorCode.READ, 0, False)
    assert result.bad_accesses == 0
    after = _echo(core, images, 512, stall=stall, reset=False)  # and it runs again
    assert (after.message, after.error) == ("", 0)
    np.testing.assert_array_equal(after.output, _expected(images, 512))


@pytest.mark.parametrize("burst", [1, 3])
def test_slverr_on_a_write_stops_the_core(core: engine.RtlCore, burst: int) -> None:
    result = _echo(core, _images(4, 512), 512, fault_write=burst)
    assert (result.error, result.violations) == (ErrorCode.WRITE, 0)
    again = _echo(core, _images(4, 512), 512, fault_write=burst, reset=False)
    assert again.error == ErrorCode.WRITE


def test_access_outside_is_answered_decerr_and_counted(core: engine.RtlCore) -> None:
    images = _images(1, 64)
    result = _echo(core, images, 64, n_descriptors=READ_OUTSIDE)
    assert (result.error, result.bad_accesses) == (ErrorCode.READ, 1)
    assert result.first_bad == BASES["input"] + 64
    with pytest.raises(build.SimulationError, match=r"1 beats outside the buffers, .*01000040"):
        engine._raise_if_bad(result)


def test_cycle_limit(core: engine.RtlCore) -> None:
    result = _echo(core, _images(1, 8192), 8192, max_cycles=300)
    assert (result.timed_out, result.cycles) == (True, 300)
    with pytest.raises(build.SimulationError, match="no interrupt after 300 cycles"):
        engine._raise_if_bad(result)


def test_failed_assertion_is_reported_and_the_process_lives(core: engine.RtlCore) -> None:
    result = _echo(core, _images(1, 8), 8, n_descriptors=FAIL_ASSERTION)
    assert result.violations
    assert "echo_top.sv" in result.message
    with pytest.raises(build.SimulationError, match="broke a rule: assertion failed"):
        engine._raise_if_bad(result)
    library = build.build_library("echo", SOURCES, top="echo_top")  # the same: it is told by a core
    unchecked = engine.RtlCore("tiny", assertions=False, library=library)
    assert not _echo(unchecked, _images(1, 8), 8, n_descriptors=FAIL_ASSERTION).violations
    unchecked.close()


def test_read_log_holds_every_burst(core: engine.RtlCore) -> None:
    result = _echo(core, _images(1, 264), 264, log_reads=True)
    base = BASES["input"]
    assert result.read_log is not None
    assert result.read_log.tolist() == [[base, 16], [base + 128, 16], [base + 256, 1]]
    assert _echo(core, _images(1, 8), 8).read_log is None


def test_progress_is_called(core: engine.RtlCore) -> None:
    calls: list[tuple[int, int]] = []
    _echo(core, _images(3, 64), 64, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (3, 3)


def test_vcd(tmp_path: Path) -> None:
    library = build.build_library("echo", SOURCES, top="echo_top", trace=True)
    core = engine.RtlCore("tiny", library=library)
    for name in ("first.vcd", "second.vcd"):
        result = _echo(core, _images(1, 64), 64, vcd=tmp_path / name)
        assert result.error == 0
        assert "m_axi_gmem_araddr" in (tmp_path / name).read_text()
    core.close()


def test_bad_arguments(core: engine.RtlCore) -> None:
    with pytest.raises(ValueError, match="strides are whole beats"):
        _echo(core, _images(1, 8), 12)
    with pytest.raises(ValueError, match="unknown channel"):
        _echo(core, _images(1, 8), 8, stall={"x": 0.1})
    with pytest.raises(ValueError, match="probability < 1"):
        _echo(core, _images(1, 8), 8, stall=1.0)


def test_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda tool: None if tool == "g++" else tool)
    with pytest.raises(build.SimulationError, match="apt-get install g\\+\\+"):
        build.check_tools()


def test_broken_source_gives_the_log(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sv"
    broken.write_text("module broken (input logic a; endmodule\n")
    with pytest.raises(build.SimulationError, match="could not build broken"):
        build.build_library("broken", [broken], top="broken")


def test_structures_are_compared_field_by_field(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A narrower field may leave the size of the whole as it is."""

    loaded = records.load_library(library)
    assert records.differences(loaded) == []

    class Narrow(ctypes.Structure):
        _fields_ = [("base", ctypes.c_uint64), ("size", ctypes.c_uint32), ("data", ctypes.c_void_p)]

    monkeypatch.setattr(records, "STRUCTURES", (Narrow, records.RunRecord, records.ResultRecord))
    assert records.differences(loaded) == ["Narrow.size at 8 with 8 bytes there, 8 with 4 here"]

"""A program for several images a run: every image has its result, the last run may lack some."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.host.vectors import Vectors
from penstock.program.core.registers import OFFSETS
from penstock.program.network.package import Package
from penstock.sim.board import ScriptedCore
from penstock.sim.board.csim import CsimBus

Opener = Callable[..., Any]
KINDS = (".pspkg", ".npz")


@pytest.fixture(scope="module")
def programs(repository: Path) -> dict[int, tuple[Package, Vectors]]:
    """Images a run -> program and test vectors, as `.ci/host_bundle.py` wrote them."""
    folder = repository / "build" / "host" / "several"
    found = {}
    for path in sorted(folder.glob("*.pspkg")):
        package = Package.load(path)
        found[package.meta["images"]] = package, Vectors.load(path.with_suffix(".npz"))
    if sorted(found) != [1, 3]:
        pytest.fail("build/host/several is missing: run `make test-host`")
    return found


@pytest.mark.parametrize("batch", [1, 3, 7])
@pytest.mark.parametrize("count", [1, 3, 8, 10])
def test_the_same_results(
    open_overlay: Opener,
    repository: Path,
    programs: dict[int, tuple[Package, Vectors]],
    batch: int,
    count: int,
) -> None:
    core = CsimBus(repository / "build" / "host" / "libcsim.so")
    overlay = open_overlay(core, core="hls", config_hash=None)
    (one, vectors), (three, expected) = programs[1], programs[3]
    with overlay.load(one) as net:
        wanted = net(vectors.images[:count])
    with overlay.load(three, batch=batch) as net:
        assert net.batch == -(-batch // 3) * 3
        net(vectors.images)  # of which nothing must be left
        logits = net(vectors.images[:count])
        assert len(net.trace) == -(-count // 3)
        full = net.trace.records[: count // 3]
        assert expected.differing(full).sum() == 0
        net.profile()
    np.testing.assert_array_equal(logits, wanted)


def test_what_a_run_lacks_is_zeros(
    open_overlay: Opener, programs: dict[int, tuple[Package, Vectors]]
) -> None:
    """Whatever the batch before it had there."""
    seen: list[np.ndarray] = []

    def keep(memory: Any, base: int, registers: dict[int, int]) -> None:
        at = registers[OFFSETS["input"]] - base
        size = registers[OFFSETS["n_images"]] * registers[OFFSETS["input_stride"]]
        seen.append(memory[at : at + size].copy())

    package, vectors = programs[3]
    size = package.meta["input"]["bytes"]
    with open_overlay(ScriptedCore(keep)).load(package, batch=3) as net:
        for count in (9, 1):
            net.run(vectors.images[:count])
    assert [len(data) for data in seen] == [3 * size] * 4
    assert seen[0][size:].any()
    assert not seen[3][size:].any() and seen[3][:size].any()


def test_the_self_test_counts_runs(
    open_overlay: Opener,
    repository: Path,
    programs: dict[int, tuple[Package, Vectors]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A limit is rounded up to whole runs, which are what its vectors hold."""
    from penstock.host.selftest import selftest

    core = CsimBus(repository / "build" / "host" / "libcsim.so")
    overlay = open_overlay(core, core="hls", config_hash=None)
    program, vectors = (repository / "build" / "host" / "several" / f"3{s}" for s in KINDS)
    bit = Path(overlay.bitfile_name)
    assert selftest(bit, program, vectors, limit=4, batch=16)
    assert "PASS: 2 of 2 runs of 3 images equal, 0 bytes differ" in capsys.readouterr().out
    with np.load(vectors) as data:
        arrays = dict(data)
    arrays["results"][3, 0] ^= 1
    np.savez(tmp_path / "wrong.npz", **arrays)
    assert not selftest(bit, program, tmp_path / "wrong.npz", limit=None, batch=3)
    printed = capsys.readouterr().out
    assert "first differing run of 3 images: 3" in printed
    assert "FAIL: 3 of 4 runs of 3 images equal, 1 bytes differ" in printed

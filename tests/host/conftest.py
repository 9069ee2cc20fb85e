"""A simulated board and the deployed folder; `make test-host` makes both possible.

Without pynq (the main environment) only what needs none of it is collected.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HAS_PYNQ = importlib.util.find_spec("pynq") is not None
WITHOUT_PYNQ = {"test_codec.py", "test_head.py", "test_trace.py", "test_errors.py"}

collect_ignore = (
    []
    if HAS_PYNQ
    else [p.name for p in Path(__file__).parent.glob("test_*.py") if p.name not in WITHOUT_PYNQ]
)


def architectures() -> list[str]:
    """What this PYNQ supports: 4.x has no Zynq-7000."""
    if not HAS_PYNQ:
        return []
    from importlib.metadata import version

    return ["aarch64"] if int(version("pynq").split(".")[0]) >= 4 else ["armv7l", "aarch64"]


@pytest.fixture(scope="session")
def bundle(repository: Path) -> Path:
    """The folder `penstock deploy` wrote."""
    folder = repository / "build" / "host" / "deploy"
    if not (folder / "net.pspkg").is_file():
        pytest.fail("build/host/deploy is missing: run `make test-host`")
    return folder


@pytest.fixture(scope="session")
def package(bundle: Path) -> Any:
    from penstock.program.network.package import Package

    return Package.load(bundle / "net.pspkg")


@pytest.fixture(scope="session")
def vectors(bundle: Path) -> Any:
    from penstock.host.vectors import Vectors

    return Vectors.load(bundle / "vectors.npz")


Opener = Callable[..., Any]


@pytest.fixture
def open_overlay(tmp_path: Path, package: Any) -> Opener:
    """open_overlay(model, interrupt=..., ...) -> a PenstockOverlay on a board with that core."""

    def opened(model: Any, /, *, memory: Any = None, **design: Any) -> Any:
        from penstock.host import PenstockOverlay
        from penstock.sim.board import SimulatedBoard, install, write_design

        design.setdefault("architecture", architectures()[0])
        design.setdefault("config_hash", package.config_hash)
        bit = write_design(tmp_path, **design)
        install(SimulatedBoard(model, architecture=design["architecture"], memory=memory))
        return PenstockOverlay(bit)

    return opened


@pytest.fixture(scope="session")
def rtl_core() -> Any:
    """The Verilated core of the deployed network's configuration."""
    from penstock.sim.rtl.bus import RtlBus

    return RtlBus("z7020")


@pytest.fixture
def csim_core(repository: Path) -> Any:
    """The HLS core's C++: a run happens at once, or `delay` cycles later."""
    from penstock.sim.board.csim import CsimBus

    return CsimBus(repository / "build" / "host" / "libcsim.so")


@pytest.fixture(scope="session")
def families(repository: Path) -> dict[str, tuple[Any, Any]]:
    """Family -> program and test vectors, as `.ci/host_bundle.py` wrote them."""
    from penstock.host.vectors import Vectors
    from penstock.program.network.package import Package

    folder = repository / "build" / "host" / "families"
    found = {
        path.stem: (Package.load(path), Vectors.load(path.with_suffix(".npz")))
        for path in sorted(folder.glob("*.pspkg"))
    }
    if len(found) < 2:
        pytest.fail("build/host/families is missing: run `make test-host`")
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`architecture`: every processor this PYNQ knows."""
    if "architecture" in metafunc.fixturenames:
        metafunc.parametrize("architecture", architectures())


@pytest.fixture
def board() -> str:
    """The processor of the board this PYNQ is for first of all."""
    return architectures()[0]

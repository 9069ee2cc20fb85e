"""What the regression does not notice: the unit's own cocotb bench, then its formal tasks.

    python -m tests.mutation.benches FOLDER BENCH    the bench BENCH on the sources in FOLDER

A survivor's source is changed in a copy of rtl/ (build/mutation/alone), never in rtl/ itself.
"""

import dataclasses
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from penstock.program.base.locks import locked
from penstock.sim import sources
from penstock.sim.cache import fingerprint
from tests.mutation.schemata import mutated
from tests.mutation.sites import Mutant

ROOT = Path(__file__).resolve().parents[2]

#: Units that are tested in the folder of another.
FOLDERS = {
    "ps_bank_ram": "ps_ram",
    "ps_conv_window": "ps_conv_ctrl",
    "ps_convolve": "penstock",
    "ps_core": "penstock",
    "ps_feature_ports": "penstock",
    "ps_gate_dot": "ps_gate_unit",
    "ps_gate_passes": "ps_gate_unit",
    "ps_gate_result": "ps_gate_unit",
    "ps_gate_store": "ps_gate_unit",
    "ps_gate_vector": "ps_gate_unit",
    "ps_interlock": "ps_sequencer",
    "ps_operands": "ps_array",
    "ps_rotate": "ps_feature_mem",
    "ps_rotate_step": "ps_feature_mem",
    "ps_table": "ps_epilogue",
    "ps_table_pick": "ps_epilogue",
    "ps_weight_request": "ps_weight_buffer",
    "ps_weight_response": "ps_weight_buffer",
}

#: The folder of build/mutation for the one mutant that is looked at; a lock guards it.
ALONE = "alone"

#: Seconds a bench may take on a mutant.
PATIENCE = 900

#: What the runner prints when a cocotb test fails, and not when a build does.
FAILED = "failed; to repeat it:"


def bench_of(unit: str) -> Path:
    """The folder of the bench of a unit."""
    return ROOT / "tests" / "rtl" / FOLDERS.get(unit, unit)


def changed_sources(mutant: Mutant) -> Path:
    """A copy of rtl/ with the one mutant in it."""
    folder = sources.build_root() / "mutation" / ALONE / "rtl"
    shutil.rmtree(folder, ignore_errors=True)
    for path in folder.parent.glob("cocotb/*"):
        if not path.name.startswith("runtime-"):  # the objects that all benches share
            shutil.rmtree(path)
    shutil.copytree(sources.RTL, folder)
    path = folder / f"{mutant.unit}.sv"
    path.write_bytes(mutated(path.read_bytes(), mutant))
    return folder


def remembered(check: Callable[[Mutant], str]) -> Callable[[Mutant], str]:
    """`check`, which asks the same of the same files once only (build/mutation/benches)."""

    @functools.wraps(check)
    def again(mutant: Mutant) -> str:
        folders = (sources.RTL, ROOT / "tests" / "rtl", ROOT / "formal", ROOT / "sim" / "cocotb")
        files = [path for folder in folders for path in sorted(folder.rglob("*.*"))]
        words = [check.__name__, repr(mutant)]
        key = fingerprint(words, [path for path in files if path.suffix in (".sv", ".py")])
        path = sources.build_root() / "mutation" / "benches" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent.with_name(f"{ALONE}.lock"), "the bench of one mutant"):
            if not path.is_file():
                path.write_text(check(mutant))
        return path.read_text()

    return again


@remembered
def fails_bench(mutant: Mutant) -> str:
    """The folder of the bench that fails on a mutant, "" if it passes.

    Raises:
        RuntimeError: the bench did not get as far as its tests.
    """
    bench = bench_of(mutant.unit)
    command = [sys.executable, "-m", "tests.mutation.benches"]
    process = subprocess.Popen(
        [*command, str(changed_sources(mutant)), str(bench)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    name = str(bench.relative_to(ROOT))
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"{name} (does not end)"
    if process.returncode == 0:
        return ""
    if FAILED not in output:
        raise RuntimeError(f"{name} on {mutant.key}:\n{output[-3000:]}")
    return name


@remembered
def fails_proof(mutant: Mutant) -> str:
    """The fast formal task that finds a counterexample on a mutant, "" if none does."""
    from penstock.formal.run import run_sby
    from penstock.formal.tasks import TASKS, Mode

    changed = changed_sources(mutant) / f"{mutant.unit}.sv"
    for task in TASKS:
        if task.fast and mutant.unit in task.units:
            files = [changed if path.name == changed.name else path for path in task.sources]
            deeper = dataclasses.replace(task, depth=max(task.depth, 26))
            verdict, folder = run_sby(deeper, Mode.BOUNDED.value, files)
            log = (folder / "logfile.txt").read_text()
            if verdict == "FAIL" and "Assert failed" in log:
                return f"formal {task.name}"
    return ""


def main(folder: Path, bench: Path) -> int:
    """Run a bench on the sources in `folder`; pytest's exit code."""
    import pytest

    # Before anything takes them over by name.
    sources.RTL = folder
    sources.build_root = lambda: folder.parent
    from penstock.sim.cocotb import runner

    runner.WAVES = False
    return int(pytest.main(["-x", "-q", "-s", "-p", "no:cacheprovider", str(bench)]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

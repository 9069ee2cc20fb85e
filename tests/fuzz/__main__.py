"""`make fuzz`: many seeds of networks and of damaged files; a summary in JSON; exit code 1 on a
finding.  Every finding comes with the command that repeats it."""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.fuzz import programs
from tests.fuzz.case import CONFIGS, Outcome, run_seed, run_tangle
from tests.fuzz.files import damaged
from tests.fuzz.onnx.run import FAMILIES, fuzz_onnx
from tests.fuzz.sandbox import Sandbox, compile_file

#: Option -> (family of tests/fuzz/case.py, what it is); the names of make's variables are theirs.
OPTIONS = {
    "concats": ("concats", "networks with Concats"),
    "squeeze": ("squeeze", "networks with squeeze-and-excite"),
    "skips": ("skips", "networks with skipped descriptors"),
    "codes": ("codes", "networks with zero points and sums at three scales"),
    "larger": ("larger", "networks with larger maps behind small ones"),
    "several": ("images", "several images a run"),
}
TANGLES = "programs on few addresses"

#: What runs a case: `run_seed`, `run_tangle`.
Runner = Callable[[int, Sequence[str], str], Outcome]

#: Networks between two lines of progress.
PROGRESS = 50


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--networks", type=int, default=500, metavar="N")
    for option, (_, what) in OPTIONS.items():
        parser.add_argument(f"--{option}", type=int, default=0, metavar="N", help=what)
    parser.add_argument("--tangles", type=int, default=0, metavar="N", help=TANGLES)
    parser.add_argument("--files", type=int, default=2000, metavar="N")
    parser.add_argument("--onnx", type=int, default=0, metavar="N", help="ONNX graphs of each kind")
    parser.add_argument("--onnx-kinds", default=",".join(FAMILIES), help="commas between names")
    parser.add_argument("--seed", type=int, default=0, help="the first; the others follow it")
    parser.add_argument("--configs", default=",".join(CONFIGS), help="commas between names")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/fuzz.json"))
    options = parser.parse_args()
    summary: dict[str, Any] = {}
    configs = options.configs.split(",")
    for option, (family, what) in {"networks": ("", "networks"), **OPTIONS}.items():
        if count := getattr(options, option):
            seeds = range(options.seed, options.seed + count)
            summary[what] = fuzz_networks(seeds, configs, options.jobs, family)
    if options.tangles:
        seeds = range(options.seed, options.seed + options.tangles)
        summary[TANGLES] = fuzz_networks(seeds, configs, options.jobs, "tangles", run_tangle)
    if options.files:
        seeds = range(options.seed, options.seed + options.files)
        summary["networks as files"] = fuzz_files(seeds, compile_file, write_network)
        seeds = seeds[: -(-len(seeds) // 4)]
        summary["programs and arrays"] = fuzz_files(seeds, programs.read, programs.write_damaged)
    if options.onnx:
        seeds = range(options.seed, options.seed + options.onnx)
        for kind in options.onnx_kinds.split(","):
            summary[f"ONNX graphs, {kind}"] = fuzz_onnx(kind, seeds, options.jobs)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps({kind: _short(part) for kind, part in summary.items()}, indent=2))
    return 1 if any(part["failures"] for part in summary.values()) else 0


def fuzz_networks(
    seeds: range, configs: Sequence[str], jobs: int, family: str = "", run: Runner = run_seed
) -> dict[str, Any]:
    """Every engine on the case of each seed of a family."""
    began, failures, outcomes = time.perf_counter(), [], []
    for seed, outcome in _run_all(seeds, configs, jobs, family, run):
        outcomes.append(outcome)
        if outcome.mismatches:
            again = f"make fuzz {_numbers(family)} SEED={seed} CONFIGS={','.join(configs)}"
            failures.append({"seed": seed, "mismatches": outcome.mismatches, "repeat": again})
            print(f"seed {seed}: {'; '.join(outcome.mismatches)}\n  {again}", flush=True)
        if len(outcomes) % PROGRESS == 0:
            print(f"{len(outcomes)} networks, {len(failures)} failures", file=sys.stderr)
    seconds = [outcome.seconds for outcome in outcomes]
    features = Counter(name for outcome in outcomes for name in outcome.features)
    return {
        "first_seed": seeds[0],
        "last_seed": seeds[-1],
        "networks": len(outcomes),
        "mismatches": len(failures),
        "failures": failures,
        "refused": sum(outcome.refused for outcome in outcomes),
        "core_cycles": sum(outcome.cycles for outcome in outcomes),
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_per_network": {
            "mean": round(statistics.mean(seconds), 3),
            "median": round(statistics.median(seconds), 3),
            "greatest": round(max(seconds), 3),
        },
        "networks_with": dict(features.most_common()),
    }


def _numbers(family: str) -> str:
    """Arguments of make for one case of a family and nothing else."""
    option = {name: option for option, (name, _) in OPTIONS.items()}.get(family, family)
    counts = dict.fromkeys(("N", *map(str.upper, OPTIONS), "TANGLES", "FILES", "ONNX"), 0)
    counts[option.upper() or "N"] = 1
    return " ".join(f"{name}={count}" for name, count in counts.items())


def _run_all(
    seeds: range, configs: Sequence[str], jobs: int, family: str, run: Runner
) -> Iterator[tuple[int, Outcome]]:
    """(seed, outcome) as they come, from `jobs` processes."""
    if jobs == 1:
        yield from ((seed, run(seed, configs, family)) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting: dict[Future[Outcome], int] = {
            pool.submit(run, seed, configs, family): seed for seed in seeds
        }
        for future in as_completed(waiting):
            seed = waiting.pop(future)
            try:
                yield seed, future.result()
            except BrokenProcessPool:
                suspects = sorted([seed, *waiting.values()])[: 2 * jobs]
                sys.exit(f"an engine's process died at one of seeds {suspects}: try each alone")


def write_network(seed: int, folder: Path) -> Path:
    """The damaged network of a seed, as a file in `folder`."""
    (folder / "net.onnx").write_bytes(damaged(seed))
    return folder / "net.onnx"


def fuzz_files(
    seeds: range, read: Callable[[Path], None], write: Callable[[int, Path], Path]
) -> dict[str, Any]:
    """`read` on what `write` makes of each seed."""
    began, failures, verdicts = time.perf_counter(), [], Counter[str]()
    with tempfile.TemporaryDirectory() as folder, Sandbox(read) as sandbox:
        for seed in seeds:
            verdict = sandbox.try_file(write(seed, Path(folder)))
            verdicts[verdict.kind] += 1
            if not verdict.good:
                again = f"make fuzz {_numbers('files')} SEED={seed}"
                failures.append({"seed": seed, "kind": verdict.kind, "repeat": again})
                print(f"file {seed}: {verdict.kind}: {verdict.text}\n  {again}", flush=True)
    seconds = time.perf_counter() - began
    return {
        "first_seed": seeds[0],
        "last_seed": seeds[-1],
        "files": len(seeds),
        "failures": failures,
        "verdicts": dict(verdicts),
        "seconds": round(seconds, 1),
        "seconds_per_file": round(seconds / len(seeds), 4),
    }


def _short(part: dict[str, Any]) -> dict[str, Any]:
    """What is worth a line on the terminal."""
    return {key: value for key, value in part.items() if key != "networks_with"}


if __name__ == "__main__":
    sys.exit(main())

"""Many seeds of random ONNX graphs, and of changes that change nothing; a summary in JSON."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from tests.fuzz.onnx.draw import draw
from tests.fuzz.onnx.judge import Verdict, judge
from tests.fuzz.onnx.metamorphic import differences

Judge = Callable[[int], tuple[Verdict, tuple[str, ...]]]


def qdq(seed: int) -> tuple[Verdict, tuple[str, ...]]:
    """A QDQ network against onnxruntime."""
    drawn = draw(seed, quantized=True)
    return judge(drawn), drawn.features


def ranges(seed: int) -> tuple[Verdict, tuple[str, ...]]:
    """A QDQ network whose tensors have scales and zero points of their own."""
    drawn = draw(seed, quantized=True, ranges=True)
    return judge(drawn), drawn.features


def floats(seed: int) -> tuple[Verdict, tuple[str, ...]]:
    """A float network, calibrated, against onnxruntime."""
    drawn = draw(seed, quantized=False)
    return judge(drawn), drawn.features


def unchanged(seed: int) -> tuple[Verdict, tuple[str, ...]]:
    """A network, QDQ or float in turn, under changes that change nothing."""
    try:
        found, made = differences(seed // 2, quantized=seed % 2 == 0)
    except Exception as error:
        return Verdict("traceback", f"{type(error).__name__}: {error}"), ()
    return Verdict("changed" if found else "equal", "; ".join(found)), ("change",) * made


FAMILIES: dict[str, Judge] = {
    "qdq": qdq, "ranges": ranges, "float": floats, "unchanged": unchanged,
}  # fmt: skip


def fuzz_onnx(family: str, seeds: range, jobs: int) -> dict[str, Any]:
    """Every seed of a family judged; findings are printed with the command that repeats them."""
    began, failures = time.perf_counter(), []
    kinds: Counter[str] = Counter()
    features: Counter[str] = Counter()
    for seed, verdict, drawn in _judge_all(family, seeds, jobs):
        kinds[verdict.kind] += 1
        if verdict.kind != "refused":
            features.update(drawn)
        if not verdict.good:
            again = f"make fuzz N=0 CONCATS=0 SEVERAL=0 FILES=0 ONNX=1 ONNX_KINDS={family}"
            again += f" SEED={seed}"
            failures.append({"seed": seed, "kind": verdict.kind, "repeat": again})
            print(f"{family} {seed}: {verdict.kind}: {verdict.text}\n  {again}", flush=True)
    seconds = time.perf_counter() - began
    return {
        "first_seed": seeds[0],
        "last_seed": seeds[-1],
        "graphs": len(seeds),
        "failures": failures,
        "verdicts": dict(kinds.most_common()),
        "accepted": round(1 - kinds["refused"] / len(seeds), 3),
        "seconds": round(seconds, 1),
        "graphs_a_second": round(len(seeds) / seconds, 1),
        "networks_with": dict(features.most_common()),
    }


def _judge_all(
    family: str, seeds: range, jobs: int
) -> Iterator[tuple[int, Verdict, tuple[str, ...]]]:
    """(seed, verdict, features), in order."""
    if jobs == 1:
        yield from ((seed, *FAMILIES[family](seed)) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        results = pool.map(FAMILIES[family], seeds, chunksize=16)
        yield from ((seed, *result) for seed, result in zip(seeds, results, strict=True))

"""Seeded gate scores: how many channels are kept, how many blocks are skipped."""

import numpy as np
import numpy.typing as npt

from penstock.compiler.numerics import SCORE_ONE
from penstock.program.network.meta import GateMeta
from penstock.program.network.package import Package

Scores = npt.NDArray[np.uint8]

#: Least score of a survivor: an open gate scales its channel by something, not just by 1.
LEAST = 32


def _survivors(kept: npt.NDArray[np.bool_], rng: np.random.Generator) -> Scores:
    """Random scores LEAST .. 128 where `kept`, else 0."""
    return np.where(kept, rng.integers(LEAST, SCORE_ONE + 1, kept.shape), 0).astype(np.uint8)


def _place(gate: GateMeta) -> slice:
    return slice(gate["score"], gate["score"] + gate["count"])


def forced_scores(
    package: Package,
    images: int,
    *,
    keep: float,
    blocks_skipped: float,
    rng: np.random.Generator,
) -> Scores:
    """Score memories uint8 (images, scores).

    Gates of one score are block gates: of n blocks, round(n * blocks_skipped) are skipped, others
    for every image.  A channel of any other gate survives with probability `keep`.
    """
    gates = package.meta["gates"]
    memory = np.zeros((images, sum(gate["count"] for gate in gates)), np.uint8)
    blocks = [gate for gate in gates if gate["count"] == 1]
    skipped = round(len(blocks) * blocks_skipped)
    for image in range(images):
        order = rng.permutation(len(blocks))
        for position, index in enumerate(order):
            kept = np.array([position >= skipped])
            memory[image, _place(blocks[index])] = _survivors(kept, rng)
    for gate in gates:
        if gate["count"] > 1:
            kept = rng.random((images, gate["count"])) < keep
            memory[:, _place(gate)] = _survivors(kept, rng)
    return close_within(package, memory)


def close_within(package: Package, memory: Scores) -> Scores:
    """The same memories as the core has them: a skipped block's channel gates are all 0."""
    gates = {gate["name"]: gate for gate in package.meta["gates"]}
    memory = memory.copy()
    for gate in gates.values():
        if gate["within"] is not None:
            memory[:, _place(gate)] *= memory[:, _place(gates[gate["within"]])] > 0
    return memory


def as_gates(package: Package, memory: Scores) -> dict[str, Scores]:
    """The same scores by gate, as the cost model takes them."""
    return {gate["name"]: memory[:, _place(gate)] for gate in package.meta["gates"]}

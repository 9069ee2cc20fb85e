"""What a run gained, as ratios: each figure of the documents' tables is defined here, once.

Three figures say how much of what was skipped on paper became time. They differ in what a run is
compared with, and so in what is counted:

    realisation_ratio     the same Program with every gate open. MACs without the gates' own, whose
                          cost is in the cycles alone: what the core makes of the gates' decisions.
    network_realisation   the network without gates or exits, on the same core. MACs with those of
                          gates and exits: what a user gains who had the static network before.
    array_realisation     no run: the array alone, from how tiles fall on its lanes. A bound.
"""

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What was measured last, one file a benchmark: the documents' tables are made of these.
RESULTS = ROOT / "bench" / "results"

Means = Mapping[str, float]


def _realised(cycles_before: float, cycles: float, macs_before: float, macs: float) -> float:
    return (cycles_before / cycles) / (macs_before / macs)


def realisation_ratio(
    *, dense_cycles: float, cycles: float, dense_macs: float, macs: float
) -> float:
    """Against the same Program with every gate open; MACs of the network, not of its gates."""
    return _realised(dense_cycles, cycles, dense_macs, macs)


def network_realisation(
    *, static_cycles: float, cycles: float, static_macs: float, macs: float
) -> float:
    """Against the network without gates or exits; `macs` with those of gates and exits."""
    return _realised(static_cycles, cycles, static_macs, macs)


def array_realisation(*, dense_tiles: float, tiles: float, keep: float) -> float:
    """(tiles of all channels / expected tiles) x the share of channels that is kept."""
    return _realised(dense_tiles, tiles, 1.0, keep)


def ratios(
    *,
    macs: Means,
    cycles: Means,
    weight_bytes: Means,
    dense_weights: float,
    pes: int,
) -> dict[str, float]:
    """`utilisation`, `realisation_ratio` and `fetch_ratio` of a run and its run with gates open.

    Args:
        macs: "dense" and "executed", means an image, without the gates' own.
        cycles: "dense" and "dynamic", means an image.
        weight_bytes: "dense" and "fetched" in bytes, "survivors" in weights, means an image.
        dense_weights: weights of the network's convolutions.
        pes: P_oc x P_px, multiply-accumulates a cycle.
    """
    return {
        "utilisation": macs["dense"] / (cycles["dense"] * pes),
        "realisation_ratio": realisation_ratio(
            dense_cycles=cycles["dense"],
            cycles=cycles["dynamic"],
            dense_macs=macs["dense"],
            macs=macs["executed"],
        ),
        "fetch_ratio": (weight_bytes["fetched"] / weight_bytes["dense"])
        / (weight_bytes["survivors"] / dense_weights),
    }

"""What the gates of a network save over a set of images, as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from penstock.model.gates.plan import GatePlan
from penstock.model.macs.count import (
    Convention,
    dense_macs,
    distribution,
    executed_layer_macs,
    executed_macs,
    gate_layer_macs,
    layer_macs,
)
from penstock.model.networks.scores import BlockScores
from penstock.model.plans.network import SCHEDULES, NetworkGeometry, Schedule, scheduled


def macs_per_image(
    config: NetworkGeometry, scores: Sequence[BlockScores], convention: Convention = "macs"
) -> dict[Schedule, Tensor]:
    """UnitNet MACs each image executes, int64 [N], in either schedule; empty without gates."""
    if not scores:
        return {}
    return {
        schedule: executed_macs(scheduled(config, schedule), scores, convention).backbone
        for schedule in SCHEDULES
    }


def mac_report(
    config: NetworkGeometry,
    scores: Sequence[BlockScores],
    convention: Convention = "macs",
    plans: Iterable[GatePlan] | None = None,
) -> dict[str, Any]:
    """Dense, gate and executed MACs of an image: totals and layers, mean and percentiles.

    `plans`: of the network's gates, if they learn groups (`network_gates`).

    `executed` has both schedules for the same scores (none without gates); it leaves the gate
    layers out, which cost every image the same and stand under `gates`.
    """
    dense, gates = layer_macs(config, convention), gate_layer_macs(config, plans)
    executed = {}
    for schedule, counts in macs_per_image(config, scores, convention).items():
        layers = executed_layer_macs(scheduled(config, schedule), scores, convention)
        executed[schedule] = {
            **asdict(distribution(counts)),
            "layers": {name: float(count.double().mean()) for name, count in layers.items()},
        }
    return {
        "convention": convention,
        "dense": {"total": dense_macs(config, convention), "layers": dense},
        "gates": {"total": sum(gates.values()), "layers": gates},
        "executed": executed,
    }

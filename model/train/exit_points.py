"""Where a multi-exit network can be run: thresholds, and accuracy against mean MACs.

Of a split network (`penstock.model.stages.split`) each exit has a cost, and thresholds are chosen
by S2DNAS' reward (Yuan et al. 2019, equation 2), or by the accuracy they may cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from penstock.model.data.dataset import Dataset
from penstock.model.macs.count import dense_macs
from penstock.model.networks.registry import AnyNet
from penstock.model.quantize.twin import QuantNetwork
from penstock.model.stages.split import exit_macs
from penstock.model.train.early_exit import ExitLogits, exit_logits

COST_EXPONENT = -0.06  # w of the reward (section 4.1)
NEVER = 1.01
#: Thresholds that are tried at each exit.
GRID = (*(step / 100 for step in range(30, 99, 2)), 0.99, 0.995, 0.999, NEVER)
WHOLE_GRID = 2  # exits up to which every combination is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPoint:
    """One choice of thresholds over a set of images; lists have an entry an exit, the end last."""

    thresholds: list[float]
    accuracy: float
    macs: float  # mean of an image
    shares: list[float]  # of the images that end there
    accuracies: list[float | None]  # among those; None: there are none

    def reward(self, dense: int, exponent: float = COST_EXPONENT) -> float:
        """Accuracy x (share of the dense MACs) ^ exponent."""
        return self.accuracy * (self.macs / dense) ** exponent


class ExitTable:
    """Confidence and correctness of every exit for a set of images, and what each exit costs."""

    def __init__(self, found: ExitLogits, macs: Sequence[int]) -> None:
        """`macs`: of an image that ends at each exit, the network's end last."""
        self.confidence = [each.softmax(dim=1).amax(dim=1) for each in found.logits[:-1]]
        self.right = torch.stack([each.argmax(dim=1) == found.labels for each in found.logits])
        self.macs = torch.tensor(list(macs), dtype=torch.float64)
        self.found = found

    @property
    def exits(self) -> int:
        """Exits in front of the end."""
        return len(self.confidence)

    @property
    def last_accuracy(self) -> float:
        """Accuracy of the network's end on all images."""
        return float(self.right[-1].double().mean())

    def _taken(self, thresholds: Sequence[float]) -> Tensor:
        """The exit of every image, int64 [N]."""
        taken = torch.full((self.right.shape[1],), self.exits)
        for index in reversed(range(self.exits)):
            taken[self.confidence[index] >= thresholds[index]] = index
        return taken

    def figures(self, thresholds: Sequence[float]) -> tuple[float, float]:
        """(accuracy, mean MACs)."""
        taken = self._taken(thresholds)
        right = self.right.gather(0, taken[None])
        return float(right.double().mean()), float(self.macs[taken].mean())

    def point(self, thresholds: Sequence[float]) -> ExitPoint:
        """Everything about one choice of thresholds."""
        taken = self._taken(thresholds)
        accuracy, macs = self.figures(thresholds)
        here = [taken == index for index in range(self.exits + 1)]
        return ExitPoint(
            thresholds=list(thresholds),
            accuracy=accuracy,
            macs=macs,
            shares=[float(images.double().mean()) for images in here],
            accuracies=[
                float(self.right[index, images].double().mean()) if images.any() else None
                for index, images in enumerate(here)
            ],
        )

    def choices(self) -> list[tuple[tuple[float, ...], float, float]]:
        """(thresholds, accuracy, mean MACs) of all that are tried, dearest first.

        With more exits than `WHOLE_GRID`, thresholds are the same at all but the first.
        """
        axes = [GRID[::-1]] * min(self.exits, WHOLE_GRID)
        repeat = self.exits - len(axes)
        tried = [(*row, *row[-1:] * repeat) for row in product(*axes)]
        return [(row, *self.figures(row)) for row in tried]

    def best(self, dense: int, exponent: float = COST_EXPONENT) -> ExitPoint:
        """The thresholds of the highest reward."""
        rewards = [
            (accuracy * (macs / dense) ** exponent, row) for row, accuracy, macs in self.choices()
        ]
        return self.point(max(rewards)[1])

    def cheapest(self, tolerance: float, margin: float = 0.0) -> ExitPoint:
        """The least MACs for at most `tolerance` of accuracy below the network without exits.

        `margin`: standard errors of that loss to be added to it: a few held-out images, compared
        at a thousand choices, would flatter one.
        """
        allowed = [
            (macs, row) for row, _, macs in self.choices() if self._loss(row, margin) <= tolerance
        ]
        return self.point(min(allowed)[1])

    def _loss(self, thresholds: Sequence[float], margin: float) -> float:
        """Accuracy that exits cost, plus `margin` standard errors of this paired difference."""
        right = self.right.gather(0, self._taken(thresholds)[None])[0]
        lost = int((self.right[-1] & ~right).sum())
        gained = int((right & ~self.right[-1]).sum())
        return (lost - gained + margin * (lost + gained) ** 0.5) / len(right)

    def sweep(self) -> list[ExitPoint]:
        """The front of Fig. 6, cheapest first: nothing tried is cheaper and as accurate."""
        front: list[ExitPoint] = []
        ordered = sorted(self.choices(), key=lambda choice: (choice[2], -choice[1]))
        for row, accuracy, _ in ordered:
            if not front or accuracy > front[-1].accuracy:
                front.append(self.point(row))
        return front


def exit_report(
    net: AnyNet | QuantNetwork, data: Dataset, thresholds: Sequence[float], device: str = "cpu"
) -> dict[str, Any]:
    """A split network on the test set at its thresholds, and the front of all, for JSON.

    `chosen` has what S2DNAS' table 2 has, `sweep` what its figure 6 has; MACs in convention
    `macs`, ratios over the static network's.
    """
    macs, dense = exit_macs(net.config), dense_macs(net.config)
    table = ExitTable(exit_logits(net, data, device), macs)

    def plain(point: ExitPoint) -> dict[str, Any]:
        return {**asdict(point), "mac_ratio": point.macs / dense}

    return {
        "split": str(net.config.split),
        "exit_macs": macs,
        "last_accuracy": table.last_accuracy,
        "chosen": plain(table.point(thresholds)),
        "sweep": [plain(point) for point in table.sweep()],
    }

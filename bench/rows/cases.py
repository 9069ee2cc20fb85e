"""The rows of the benchmark: which network, on which core, with which masks."""

import dataclasses
from collections.abc import Iterator

from penstock.program.core.config import CONFIGS

#: (keep ratio of the channels, share of the blocks skipped); the first is the dense run.
MASKS: tuple[tuple[float, float], ...] = (
    (1.0, 0.0),
    (0.7, 0.0),
    (0.5, 0.0),
    (0.3, 0.0),
    (1.0, 1 / 3),
    (1.0, 2 / 3),
    (0.5, 1 / 3),
)
QUICK_MASKS = ((1.0, 0.0), (0.5, 0.0), (0.3, 0.0), (1.0, 2 / 3))

#: Network -> cores whose rows `make bench` measures; others with --config.  The gates of ResNet-18
#: stay on chip on zu5ev, which is z7020 otherwise.
ROWS: dict[str, tuple[str, ...]] = {
    "resnet20": ("z7020", "z7020x2"),
    "resnet18": ("zu5ev",),
    "vgg16": ("z7020",),
    "mobilenetv2": ("z7020",),
    "mobilenetv2-shortcuts": ("z7020",),
}
#: The same for a trained network.
TRAINED_ROWS = ("z7020", "z7020x2")

#: Cores with fewer multipliers are for tests.
LEAST_MACS = 128

IMAGES = 20
QUICK_IMAGES = 4
#: Without gates every image takes the same cycles.
STATIC_IMAGES = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row.  `keep` is None for a trained network with its own masks.  `split`: reshaping."""

    network: str
    config: str
    schedule: str
    split: bool
    keep: float | None
    blocks_skipped: float | None
    images: int

    @property
    def is_dense(self) -> bool:
        """Every gate open, nothing skipped."""
        return self.keep == 1.0 and not self.blocks_skipped

    @property
    def dense(self) -> "Case":
        """What this row's speed is compared with: our own best dense run, reshaping on."""
        return dataclasses.replace(
            self, split=True, schedule="sequential", keep=1.0, blocks_skipped=0.0
        )

    @property
    def label(self) -> str:
        """One line for people."""
        masks = "own masks" if self.keep is None else f"keep {self.keep}"
        if self.blocks_skipped:
            masks += f", {self.blocks_skipped:.2f} of the blocks skipped"
        array = "" if self.split else ", fixed array"
        return f"{self.network} on {self.config}, {self.schedule}{array}: {masks}"


def bench_configs() -> list[str]:
    """Cores that are worth a row."""
    return [n for n, c in CONFIGS.items() if c.p_oc * c.p_px >= LEAST_MACS]


def dense_case(network: str, config: str, images: int) -> Case:
    """The run that the others of a network and core are compared with."""
    return Case(
        network=network,
        config=config,
        schedule="sequential",
        split=True,
        keep=1.0,
        blocks_skipped=0.0,
        images=images,
    )


def forced_cases(network: str, config: str, *, quick: bool) -> Iterator[Case]:
    """Every mask with reshaping; the same without it; one row in the other schedule."""
    base = dense_case(network, config, QUICK_IMAGES if quick else IMAGES)
    for split in (True, False):
        for keep, skipped in QUICK_MASKS if quick else MASKS:
            yield dataclasses.replace(base, split=split, keep=keep, blocks_skipped=skipped)
    yield dataclasses.replace(base, schedule="parallel", keep=0.5)


def static_case(network: str, config: str) -> Case:
    """The one row of a network without gates."""
    return dense_case(network, config, STATIC_IMAGES)


def trained_cases(network: str, config: str, images: int) -> Iterator[Case]:
    """A trained network with its own masks, after its dense run."""
    base = dense_case(network, config, images)
    yield base
    for split in (True, False):
        yield dataclasses.replace(base, split=split, keep=None, blocks_skipped=None)

"""Figures of other systems as read in their sources; nothing here was run."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One claim and where it stands.  `realisation`: speed-up / cut in operations, if given."""

    system: str
    dynamic: str
    figure: str
    source: str
    realisation: float | None = None


PUBLISHED = (
    Published(
        system="Channel Gating (MICRO'19)",
        dynamic="input channels",
        figure="2.3 x faster for 2.8 x fewer FLOPs: realisation 0.82",
        source="doi 10.1145/3352460.3358283",
        realisation=0.82,
    ),
    Published(
        system="DPACS (ASPLOS'23), ZCU102",
        dynamic="groups of 32 channels, spatial",
        figure="ResNet-101: 2.63 x for 3.18 x serial: 0.83; 1.60 x parallel: 0.50",
        source="its repository's latency table",
        realisation=0.83,
    ),
    Published(
        system="ATHEENA (FCCM'23), ZC706",
        dynamic="early exit, one bitstream a network",
        figure="2.00-2.78 x throughput",
        source="arXiv 2304.08400",
    ),
    Published(
        system="AdaPEx (DATE'23), FINN",
        dynamic="early exit, pruning by reconfiguration",
        figure="1.32 x inferences",
        source="doi 10.23919/DATE56975.2023.10137244",
    ),
    Published(
        system="Dimitriou et al. (TCAD'24), ZCU106",
        dynamic="BranchyNet",
        figure=">= 24 % faster, >= 1.32 x less energy",
        source="eprints.soton.ac.uk/499024",
    ),
    Published(
        system="Vitis AI DPU B4096 x 3, ZCU102",
        dynamic="none (static pruning)",
        figure="ResNet-50 41 % of peak; 3.28 x fewer operations give 1.66 x / 1.45 x: 0.51 / 0.44",
        source="Vitis-AI model zoo README",
        realisation=0.51,
    ),
    Published(
        system="Tensil, PYNQ-Z1",
        dynamic="none",
        figure="ResNet-20v2 CIFAR: 151 ms an image",
        source="its tutorial",
    ),
)

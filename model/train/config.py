"""The configuration of a training run; the network's is in `penstock.model.networks`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from penstock.model.data.load import DATASETS
from penstock.model.errors import ConfigError
from penstock.model.files.reference import is_reference
from penstock.model.networks.registry import parse_any
from penstock.model.networks.resnet_config import Shortcuts
from penstock.model.plans.network import SCHEDULES, Schedule
from penstock.model.plans.split import parse_split

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
PolicyGradient = Literal["straight_through", "reinforce"]
POLICY_GRADIENTS: tuple[PolicyGradient, ...] = ("straight_through", "reinforce")
GateCost = Literal["score", "share", "rate"]
GATE_COSTS: tuple[GateCost, ...] = ("score", "share", "rate")
Decay = Literal["cosine", "step", "halves"]
DECAYS: tuple[Decay, ...] = ("cosine", "step", "halves")
CHOICES: dict[str, tuple[str, ...]] = {
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "decay": DECAYS,
    "policy_gradient": POLICY_GRADIENTS,
    "gate_cost": GATE_COSTS,
}
INFINITE = float("inf")
#: What a number has to be -> the settings of that kind, and the check.
RANGES: dict[str, tuple[tuple[str, ...], Callable[[Any], bool]]] = {
    "it starts at 1": (("epochs", "step_epochs", "batch_size", "threads"), lambda n: n >= 1),
    "it cannot be negative": (
        (
            *("qat_epochs", "free_epochs", "eval_every", "warmup", "lr", "qat_lr", "gate_lr"),
            *("weight_decay", "l1", "exit_weight", "exit_tolerance", "exit_margin"),
            *("wrong_reward", "gate_noise", "gate_spread"),
        ),
        lambda x: 0 <= x < INFINITE,
    ),
    "pixels, from 0": (("shift",), lambda n: n >= 0),
    "numbers above 0, one a channel": (("std",), lambda std: min(std, default=0) > 0),
    "a share, 0..1": (("augment_share", "teacher_weight"), lambda x: 0 <= x <= 1),
    "a share, above 0 up to 1": (("gate_rate", "block_rate"), lambda x: 0 < x <= 1),
    "a share of the dense MACs, 0..1": (("mac_target",), lambda x: 0 < x <= 1),
    "a share, 0 to below 1": (("label_smoothing",), lambda x: 0 <= x < 1),
    "a decay between 0 and 1, say 0.998": (("average",), lambda x: 0 < x < 1),
    "above 0": (("teacher_temperature",), lambda x: 0 < x < INFINITE),
    "a number": (("gate_bias",), lambda x: -INFINITE < x < INFINITE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A training run.  The defaults train the demo: a gated ResNet-8 on digits.

    `model/recipes/*.yaml` hold such runs by name (`penstock.model.train.recipe`).
    """

    network: str = "lcnet-resnet8"  # a name, or pkg.module:factory of a module of one's own
    network_args: dict[str, Any] | None = None  # of that factory
    dataset: str = "digits"  # one of DATASETS, or pkg.module:function
    data_dir: Path | None = None  # the data set's files; digits and a function need none
    epochs: int = 48
    qat_epochs: int = 10
    batch_size: int = 64
    lr: float = 0.1
    qat_lr: float = 0.005
    # Of the learning rate; "step": a tenth every `step_epochs`; "halves": a tenth at half and at
    # three quarters of the epochs (S2DNAS, section 4.1).
    decay: Decay = "cosine"
    step_epochs: int = 90
    warmup: float = 0.0  # epochs in which the learning rate rises to its full value
    gate_lr: float | None = None  # learning rate of the gates; None: that of the backbone
    weight_decay: float = 5e-4
    l1: float = 1.2  # weight in the loss of the mean gate score, or of the share of MACs executed
    # Share of an image's channels that win (FBS), of images that run a block (ConvNet-AIG).
    gate_rate: float | None = None  # None: half
    # What gates cost: "score", the mean of their scores; "share" of the MACs executed; "rate", each
    # gate's mean over a batch, its distance from `gate_rate`.  None: as the family has it.
    gate_cost: GateCost | None = None
    block_rate: float | None = None  # the rate of gates that decide whole blocks; None: gate_rate
    # Of LC-Net's gates: noise on their sums in training, its deviation; where fresh ones start, the
    # bias of all, and the deviation of their sums over images of unit averages.
    gate_noise: float | None = None
    gate_bias: float | None = None
    gate_spread: float | None = None
    fix_gates: bool = False  # those of `init` at what they decide for most images, for good
    free_epochs: int = 0  # at the start, without that term: the first of ACS's two steps
    policy_gradient: PolicyGradient = "straight_through"  # of a policy network (BlockDrop)
    wrong_reward: float = 5.0  # REINFORCE: what a wrong answer costs, a correct one earns up to 1
    strict_gates: bool = False  # train on the scores that run, not on the paper's leaky ones
    mac_target: float | None = None  # executed / dense MACs that `l1` is steered to
    init: Path | None = None  # a checkpoint, or a ResNet's state dict of others: its backbone
    mean: tuple[float, ...] | None = None  # of the pixels; None: as `init` has it, or the data's
    std: tuple[float, ...] | None = None
    mirror: bool | None = None  # flip training images; None: as the data set has it
    shift: int | None = None  # crop them, moved by up to so many pixels; None: the data set's own
    augment_share: float | None = None  # of the images in a batch; None: as the data set has it
    teacher: Path | None = None  # as `init`; its answers are a second target (distillation)
    teacher_weight: float = 0.9  # of that target in the loss, the labels have the rest
    teacher_temperature: float = 4.0
    label_smoothing: float | None = None  # share of a label that all classes have; None: 0
    # Decay a step of the running mean of all weights, which is what is evaluated and kept; None:
    # the weights themselves are.
    average: float | None = None
    # Of the training's arithmetic; figures are always float32.  "bf16" where the device has it.
    precision: Precision = "fp32"
    seed: int = 0
    exits: tuple[int, ...] | None = None  # stages with an early exit behind them; None: none
    exit_weight: float = 0.3  # of each exit's loss, the network's own has 1
    exit_tolerance: float = 0.005  # accuracy that the thresholds may cost on held-out images
    exit_margin: float = 0.0  # standard errors added to that, of a split network
    exit_reward: float | None = None  # of a split network instead: w of ACC x COST^w, see S2DNAS
    split: str | None = None  # stages along the channels, see `penstock.model.plans.split`
    schedule: Schedule = "sequential"
    widths: tuple[int, ...] | None = None  # channels of the stages; None: the network's own
    shortcuts: Shortcuts | None = None  # of a ResNet; None: projections, or as a foreign `init` has
    layers: tuple[int, ...] | None = None  # of a DenseNet's blocks; None: as named
    growth: int | None = None  # channels that each of them adds; None: 32
    out: Path = Path("build/lcnet-resnet8-digits.pt")
    threads: int = 1  # more than one is slower on a small shared machine
    device: str = "cpu"
    eval_every: int = 0  # epochs between figures on the test set in the log; 0: at the end only
    resume: bool = False  # go on from the state that an interrupted run of the same settings left
    quiet: bool = False

    def __post_init__(self) -> None:
        for place in ("data_dir", "init", "teacher", "out"):
            given = getattr(self, place)
            if isinstance(given, str):  # as a notebook has it
                object.__setattr__(self, place, Path(given))
        parse_any(self.network)
        if self.dataset not in DATASETS and not is_reference(self.dataset):
            raise ConfigError(f"unknown dataset {self.dataset!r}", f"one of {DATASETS}")
        left_out = {f.name for f in fields(self) if f.default is getattr(self, f.name) is None}
        for field, known in CHOICES.items():
            given = getattr(self, field)
            if field not in left_out and given not in known:
                raise ConfigError(f"unknown {field} {given!r}", f"one of {known}")
        if self.reinforce and parse_any(self.network).gates != "blockdrop":
            raise ConfigError(
                f"{self.network} has no policy to train by REINFORCE", "blockdrop-resnetN has one"
            )
        if self.reinforce and self.mac_target is not None:
            raise ConfigError("REINFORCE has no weight to steer", "leave mac_target out")
        for told, (names, fits) in RANGES.items():
            for field in names:
                given = getattr(self, field)
                if field not in left_out and not fits(given):
                    raise ConfigError(f"{field} is {given}", told)
        if self.fix_gates and (self.init is None or self.gate_lr != 0):
            raise ConfigError("fix_gates fixes those of another network", "--init, gate_lr: 0.0")
        if self.split is not None:
            parse_split(self.split)

    @property
    def reinforce(self) -> bool:
        """Whether a policy learns by REINFORCE."""
        return self.policy_gradient == "reinforce"

"""A training run from data to checkpoint: what `penstock train` calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console

from penstock.model.checkpoint.export import THRESHOLD
from penstock.model.checkpoint.file import Checkpoint, save_checkpoint
from penstock.model.data.dataset import Dataset
from penstock.model.data.load import load_dataset
from penstock.model.errors import ConfigError
from penstock.model.macs.count import dense_macs
from penstock.model.networks.registry import AnyNet
from penstock.model.plans.network import NetworkGeometry
from penstock.model.quantize.twin import QuantNetwork
from penstock.model.stages.split import exit_macs
from penstock.model.train.config import TrainConfig
from penstock.model.train.early_exit import (
    SPLIT_VALIDATION_SHARE,
    VALIDATION_SHARE,
    ExitLogits,
    choose_thresholds,
    exit_logits,
    split_validation,
)
from penstock.model.train.evaluation import Evaluation, evaluate
from penstock.model.train.exit_points import ExitTable
from penstock.model.train.initial import as_told, initial_network, network_config
from penstock.model.train.majority import fix_gates
from penstock.model.train.optimize import Phase, phases
from penstock.model.train.progress import RunLog
from penstock.model.train.trainer import Trainer
from penstock.model.train.workers import Workers, has_bf16, join_workers

CALIBRATION_IMAGES = 512
CALIBRATION_BATCH = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """Where the checkpoint lies, and its figures (see `_metrics`).

    `writes`: whether this process, of several under torchrun, wrote it; its figures are the
    checkpoint's, the others' batch norms differ.
    """

    checkpoint: Path
    metrics: dict[str, float]
    writes: bool


def train_network(config: TrainConfig) -> TrainResult:
    """Train in floating point, then quantisation-aware; write the checkpoint.

    The same configuration gives the same checkpoint on the same machine.  Raises ModelError.
    """
    with _threads(config.threads), join_workers(config.device) as workers:
        console = Console(quiet=config.quiet or not workers.writes)
        data = as_told(config, load_dataset(config.dataset, config.data_dir))
        run = _Run(config, data, workers, console)
        console.print(f"{config.network} on {config.dataset}, seed {config.seed}", highlight=False)
        if config.precision == "bf16" and not has_bf16(workers.device):
            console.print("no bf16 arithmetic in this processor: fp32, which is faster here")
        checkpoint = run.train()
        if workers.writes:
            save_checkpoint(config.out, checkpoint)
            run.log.finish()
    return TrainResult(checkpoint=config.out, metrics=checkpoint.metrics, writes=workers.writes)


class _Run:
    """One training run: its data, its random numbers, its log."""

    def __init__(
        self, config: TrainConfig, data: Dataset, workers: Workers, console: Console
    ) -> None:
        self.config, self.data, self.workers, self.console = config, data, workers, console
        if config.reinforce and workers.count > 1:
            raise ConfigError("REINFORCE trains in one process", "start it without torchrun")
        network = network_config(config, data)
        if network.early_exits:  # thresholds are chosen on images that are not trained on
            share = VALIDATION_SHARE if network.split is None else SPLIT_VALIDATION_SHARE
            self.data, self.validation = split_validation(data, config.seed, share)
        self.log = RunLog(config.out, _plain(config), config.resume)
        self.generator = torch.Generator().manual_seed(config.seed)

    def train(self) -> Checkpoint:
        """Both phases; the checkpoint's networks are on the CPU."""
        net, epochs = initial_network(self.config, self.data)
        QuantNetwork(net)  # refuses what has no integer form before the epochs, not after them
        if self.config.fix_gates:
            found = fix_gates(net, self.data)
            self.console.print(
                f"gates fixed: {found.dependent:,} that depend on the image, beside {found.open:,} "
                f"always open and {found.closed:,} always closed"
            )
        net = net.to(self.workers.device)
        in_float = self._float_phase(net)
        quantized = QuantNetwork(net).to(self.workers.device)
        figures = self._quantised_phase(quantized)
        thresholds = self._thresholds(quantized)
        return Checkpoint(
            net=net.cpu(),
            quantized=quantized.cpu(),
            training=_plain(self.config),
            normalization=_normalization(self.data),
            class_names=_names(self.data),
            metrics=in_float
            | _metrics(figures)
            | {"epochs": epochs + _epochs(self.config)}
            | thresholds,
        )

    def _float_phase(self, net: AnyNet) -> dict[str, float]:
        """Train `net` in place, or take it from the resume state; its figures."""
        log = self.log
        if "float" in log.kept:
            with log.resuming():
                net.load_state_dict(log.kept["float"])
                return dict(log.kept["float_metrics"])
        trainer = self._trainer(net, phases(self.config)[0])
        trainer.run(log)
        figures = evaluate(net, self.data, self.workers.device)
        metrics = {"float_accuracy": figures.accuracy, "float_mac_ratio": figures.mac_ratio}
        log.keep("float", net.state_dict())
        log.keep("float_metrics", metrics)
        log.keep("pressure", trainer.pressure.exponent)
        return metrics

    def _quantised_phase(self, quantized: QuantNetwork) -> Evaluation:
        """Calibrate and fine-tune in place; the figures of the quantised network."""
        images = self.data.train_images[:CALIBRATION_IMAGES]
        calibration = self.data.normalize(images).to(self.workers.device)
        quantized.calibrate(calibration.split(CALIBRATION_BATCH))
        if self.config.qat_epochs:
            self._trainer(quantized, phases(self.config)[1]).run(self.log)
        return evaluate(quantized, self.data, self.workers.device)

    def _thresholds(self, quantized: QuantNetwork) -> dict[str, float]:
        """The threshold of each early exit, and what the test set makes of them.

        The accuracy; of a split network also the MACs, which then are those of the exits.
        """
        network, device = quantized.config, self.workers.device
        if not network.early_exits:
            return {}
        held_out = exit_logits(quantized, self.validation, device)
        tested = exit_logits(quantized, self.data, device)
        if network.split is None:
            chosen = choose_thresholds(held_out, self.config.exit_tolerance)
            figures = {"exits_accuracy": tested.accuracy(chosen)}
        else:
            chosen, figures = split_thresholds(network, held_out, tested, self.config)
        return {f"{THRESHOLD}{index}": value for index, value in enumerate(chosen)} | figures

    def _trainer(self, net: AnyNet | QuantNetwork, phase: Phase) -> Trainer:
        """A trainer for the phase, at the epoch where an interrupted run left it."""
        trainer = Trainer(net, self.data, self.config, phase, self.generator, self.workers)
        with self.log.resuming():
            trainer.pressure.exponent = float(self.log.kept.get("pressure", 0.0))
            state = self.log.state
            if state is not None and state["trainer"]["label"] == phase.label:
                trainer.restore(state["trainer"])
        return trainer


def split_thresholds(
    network: NetworkGeometry, held_out: ExitLogits, tested: ExitLogits, config: TrainConfig
) -> tuple[list[float], dict[str, float]]:
    """Thresholds of a split network from held-out images, and its figures on the test set."""
    macs, dense = exit_macs(network), dense_macs(network)
    table = ExitTable(held_out, macs)
    if config.exit_reward is None:
        chosen = table.cheapest(config.exit_tolerance, config.exit_margin).thresholds
    else:
        chosen = table.best(dense, config.exit_reward).thresholds
    point = ExitTable(tested, macs).point(chosen)
    shares = {f"exit{index}_share": share for index, share in enumerate(point.shares)}
    return chosen, {
        "exits_accuracy": point.accuracy,
        "executed_macs": point.macs,
        "executed_macs_without_gates": point.macs,
        "mac_ratio": point.macs / dense,
        **shares,
    }


def _epochs(config: TrainConfig) -> float:
    """Epochs of both phases; a float, as every figure of a checkpoint is."""
    return float(config.epochs + config.qat_epochs)


def _names(data: Dataset) -> tuple[str, ...]:
    """The classes' names, if they are more than numbers."""
    numbers = tuple(str(number) for number in range(data.classes))
    return () if data.class_names == numbers else data.class_names


def _metrics(in_integers: Evaluation) -> dict[str, float]:
    """Accuracies in [0, 1]; MACs an image (convention `macs`), means over the test set."""
    return {
        "qat_accuracy": in_integers.accuracy,
        "dense_macs": float(in_integers.dense_macs),
        "executed_macs": in_integers.executed_macs,
        "executed_macs_without_gates": in_integers.executed_macs_without_gates,
        "mac_ratio": in_integers.mac_ratio,
    }


def _normalization(data: Dataset) -> dict[str, list[float]]:
    """What turns raw images into network input: (raw / full_scale - mean) / std."""
    return {
        "full_scale": [float(data.full_scale)],
        "mean": list(data.mean),
        "std": list(data.std),
    }


def _plain(config: TrainConfig) -> dict[str, object]:
    """The configuration with paths as text: a checkpoint holds plain values only."""
    return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()}


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run torch on that many threads, and give the setting back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

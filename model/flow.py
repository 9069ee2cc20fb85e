"""What the command line calls: train a network, export a checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from penstock.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from penstock.model.config import TrainConfig
from penstock.model.data import Dataset, load_dataset
from penstock.model.early_exit import (
    SPLIT_VALIDATION_SHARE,
    VALIDATION_SHARE,
    ExitLogits,
    choose_thresholds,
    exit_logits,
    inherit_heads,
    split_validation,
)
from penstock.model.errors import CheckpointError, ConfigError
from penstock.model.evaluation import Evaluation, evaluate
from penstock.model.exit_points import ExitTable
from penstock.model.export import OUTPUT, build_float_onnx, build_onnx, exit_name
from penstock.model.files import write_atomically
from penstock.model.geometry import NetworkGeometry
from penstock.model.kinds import (
    OWN,
    AnyConfig,
    build_any,
    shaped_network,
)
from penstock.model.macs import dense_macs
from penstock.model.optimize import Phase, phases
from penstock.model.own.config import OwnConfig, arguments_text, examined
from penstock.model.progress import RunLog
from penstock.model.quantize import AnyNet, QuantNetwork
from penstock.model.split import exit_macs
from penstock.model.split_plan import parse_split
from penstock.model.train import Trainer
from penstock.model.workers import Workers, join_workers
from penstock.program.pixels import Pixels

CALIBRATION_IMAGES = 512
CALIBRATION_BATCH = 128
# Parameters of gates in a state dict: of LC-Net, of gate networks, of a policy; heads of exits.
GATE_NAMES = re.compile(r"\.(lnet|cnet\d?|gate\d?)\.|^policy\.|^heads\.")
#: Metric of a checkpoint, with the number of the early exit behind it.
THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """Where the checkpoint lies, and its figures (see `_metrics`).

    `writes`: whether this process, of several under torchrun, wrote it; its figures are the
    checkpoint's, the others' batch norms differ.
    """

    checkpoint: Path
    metrics: dict[str, float]
    writes: bool


def network_config(config: TrainConfig, data: Dataset) -> AnyConfig:
    """The network that `config` names, shaped for the images of `data`."""
    settings = {name: getattr(config, name) for name in OWN}
    settings |= {"schedule": config.schedule}
    settings["split"] = parse_split(config.split) if config.split else None
    settings["network_args"] = arguments_text(config.network_args)
    shaped = shaped_network(config.network, data.in_channels, data.input_size, settings)
    network: AnyConfig = replace(shaped, classes=data.classes)
    return examined(network) if isinstance(network, OwnConfig) else network


def train_network(config: TrainConfig) -> TrainResult:
    """Train in floating point, then quantisation-aware; write the checkpoint.

    The same configuration gives the same checkpoint on the same machine.  Raises ModelError.
    """
    with _threads(config.threads), join_workers(config.device) as workers:
        console = Console(quiet=config.quiet or not workers.writes)
        run = _Run(config, load_dataset(config.dataset, config.data_dir), workers)
        console.print(f"{config.network} on {config.dataset}, seed {config.seed}", highlight=False)
        checkpoint = run.train()
        if workers.writes:
            save_checkpoint(config.out, checkpoint)
            run.log.finish()
    return TrainResult(checkpoint=config.out, metrics=checkpoint.metrics, writes=workers.writes)


class _Run:
    """One training run: its data, its random numbers, its log."""

    def __init__(self, config: TrainConfig, data: Dataset, workers: Workers) -> None:
        self.config, self.data, self.workers = config, data, workers
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


def initial_network(config: TrainConfig, data: Dataset) -> tuple[AnyNet, float]:
    """Fresh, or with the backbone of the checkpoint `config.init`; epochs trained so far."""
    net = build_any(network_config(config, data), config.seed)
    if config.init is None:
        return net, 0.0
    loaded = load_checkpoint(config.init, config.network)
    donor, own = loaded.net.state_dict(), net.state_dict()
    gates = {name for name in own if GATE_NAMES.search(name)}
    foreign = [
        name
        for name in sorted((own.keys() - gates) | donor.keys())
        if name not in own or name not in donor or own[name].shape != donor[name].shape
    ]
    if foreign:
        raise CheckpointError(
            f"{config.init}: not a backbone of {config.network}: {foreign[0]} does not match",
            "train the network of the same depth and widths first",
        )
    net.load_state_dict(donor, strict=False)
    if net.config.split is not None and loaded.net.config.split is None:
        inherit_heads(net)
    return net, loaded.metrics["epochs"]


def export_checkpoint(
    checkpoint: Path | str,
    onnx_path: Path | str,
    *,
    quantized: bool = True,
    network: str | None = None,
) -> dict[str, float]:
    """Write the network of a checkpoint as ONNX; returns its figures.

    The quantised one as QDQ, or the floating-point one for `penstock compile --calibration`.
    `network` as `load_checkpoint` has it.  Raises CheckpointError, also where a parameter is no
    finite number: nothing is written then.
    """
    loaded = load_checkpoint(checkpoint, network)
    metadata = {key: str(loaded.training[key]) for key in ("dataset", "seed")}
    metadata |= pixels_of_checkpoint(loaded).properties()
    if loaded.class_names:
        metadata["class_names"] = json.dumps(loaded.class_names)
    exits = range(loaded.net.config.early_exits)
    if exits:
        thresholds = exit_thresholds(loaded)
        metadata["exits"] = ",".join([*map(exit_name, exits), OUTPUT])
        metadata["thresholds"] = ",".join(f"{value:g}" for value in thresholds)
    if exits and not quantized:
        raise CheckpointError(
            f"{checkpoint}: early exits are not exported in floating point",
            "export the quantised network",
        )
    if quantized:
        model = build_onnx(loaded.quantized, metadata)
    else:
        model = build_float_onnx(loaded.net, metadata)
    content = model.SerializeToString()
    write_atomically(Path(onnx_path), lambda file: file.write(content))
    return loaded.metrics


def pixels_of_checkpoint(loaded: Checkpoint) -> Pixels:
    """How the pixels that the network was trained on became its input."""
    known = loaded.normalization
    return Pixels(
        name=str(loaded.training["dataset"]),
        full_scale=known["full_scale"][0],
        mean=tuple(known["mean"]),
        std=tuple(known["std"]),
    )


def _names(data: Dataset) -> tuple[str, ...]:
    """The classes' names, if they are more than numbers."""
    numbers = tuple(str(number) for number in range(data.classes))
    return () if data.class_names == numbers else data.class_names


def exit_thresholds(loaded: Checkpoint) -> list[float]:
    """Of the early exits of a checkpoint's network, in order."""
    exits = range(loaded.net.config.early_exits)
    return [loaded.metrics[f"{THRESHOLD}{index}"] for index in exits]


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

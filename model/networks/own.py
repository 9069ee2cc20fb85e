"""Networks of the caller's: who makes one, with what, for which images; what its gates decided."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from penstock.model.errors import ConfigError, ModelError
from penstock.model.files.reference import failure, is_reference, load_object
from penstock.model.networks.network import Kind, Network, shaped
from penstock.model.networks.scores import BlockScores, Outputs
from penstock.model.plans.network import SCHEDULES, Gates, NetworkGeometry, Schedule
from penstock.model.trace.nodes import shape_of
from penstock.model.trace.outputs import Returned, returned, score_layers, tensors, values_of
from penstock.model.trace.tracer import trace

#: What a factory is told without being asked, where it has such a parameter.
TOLD = {"in_channels": "in_channels", "classes": "classes", "num_classes": "classes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnConfig(NetworkGeometry):
    """A network that `factory` makes, `pkg.module:name`, called with `network_args`.

    `network_args` is JSON text.  The factory returns an nn.Module of one image tensor; in_channels
    and classes (or num_classes) are passed on where it has such parameters.  `exits` and
    `gate_count` are what its trace shows, 0 until `examined` has looked.
    """

    factory: str
    network_args: str = "{}"
    in_channels: int = 1
    input_size: tuple[int, int] = (8, 8)
    classes: int = 10
    schedule: Schedule = "sequential"
    exits_found: int = 0
    gate_count: int = 0

    def __post_init__(self) -> None:
        if not is_reference(self.factory):
            raise ConfigError(f"no network '{self.factory}'", "pkg.module:factory")
        if not isinstance(_json(self.network_args), dict):
            raise ConfigError(f"network_args are {self.network_args[:40]!r}", "names and values")
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"unknown schedule {self.schedule!r}", f"one of {SCHEDULES}")

    @property
    def gates(self) -> Gates:
        """The gates that the module declares, or none."""
        return "own" if self.gate_count else "none"  # type: ignore[return-value]

    @property
    def early_exits(self) -> int:
        """Logits in front of the last."""
        return self.exits_found

    @property
    def name(self) -> str:
        """The factory's own name."""
        return self.factory.rpartition(":")[2].rpartition(".")[2]

    @property
    def arguments(self) -> dict[str, Any]:
        """What the factory is called with, by the recipe."""
        found: dict[str, Any] = json.loads(self.network_args)
        return found


def parse_own(name: str) -> OwnConfig:
    """The network of a factory's name.  Raises ConfigError."""
    return OwnConfig(factory=name)


def arguments_text(given: Mapping[str, Any] | None) -> str | None:
    """Arguments of a factory as a configuration holds them.  Raises ConfigError."""
    if given is None:
        return None
    try:
        return json.dumps(dict(given), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"network_args: {error}", "numbers, texts, lists of such") from error


def examined(config: OwnConfig) -> OwnConfig:
    """The configuration with what its network's trace shows: exits, gates.

    Raises:
        ConfigError: the factory fails, or makes a network of other classes.
        TraceError: the network cannot be traced.
    """
    found = look_at(make(config, seed=0), config)
    classes = found.classes
    if classes != config.classes:
        raise ConfigError(
            f"{config.factory} gives {classes} logits, the data has {config.classes} classes",
            "a parameter 'classes' of the factory is told how many there are",
        )
    return replace(config, exits_found=found.exits, gate_count=len(found.scores))


def look_at(module: nn.Module, config: OwnConfig) -> Returned:
    """What a module of that configuration returns, from its trace."""
    example = torch.zeros(1, config.in_channels, *config.input_size)
    was_training = module.training
    found = returned(trace(module.eval(), example), config.factory)
    module.train(was_training)
    return found


def make(config: OwnConfig, seed: int) -> nn.Module:
    """A fresh module; torch's global generator is left as it was.  Raises ConfigError."""
    factory = load_object(config.factory, "network")
    if not callable(factory):
        raise ConfigError(
            f"network '{config.factory}' is a {type(factory).__name__}",
            "a class or a function that makes an nn.Module",
        )
    arguments = _told(factory, config) | config.arguments
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = factory(**arguments)
    except ModelError:
        raise
    except Exception as error:  # whatever the caller's code raises
        raise ConfigError(
            f"{config.factory} fails: {failure(error)}", f"it was called with {arguments}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"{config.factory} made a {type(module).__name__}", "it has to make an nn.Module"
        )
    return module


def build_own(config: OwnConfig, seed: int) -> OwnNet:
    """A freshly initialised network, in training mode.  Raises ConfigError, TraceError."""
    module = make(config, seed)
    return OwnNet(module, config, look_at(module, config)).train()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _told(factory: Any, config: OwnConfig) -> dict[str, Any]:
    """Arguments that the factory has parameters for by name."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # of C code
        return {}
    return {name: getattr(config, field) for name, field in TOLD.items() if name in parameters}


class OwnNet(Network):
    """The caller's module, `net`, and what its gates decided."""

    def __init__(self, net: nn.Module, config: OwnConfig, found: Returned) -> None:
        super().__init__(config)
        self.net, self.found = net, found
        owner = found.own.graph.owning_module
        assert owner is not None
        self.score_nodes = score_layers(owner)

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, C, H, W] -> logits, float [N, classes], and scores, one a gate."""
        known: dict[str, Tensor] = {}
        handles = [
            self.net.get_submodule(path).register_forward_hook(_keeper(known, name))
            for path, name in self.score_nodes.items()
        ]
        try:
            logits = self.logits(x)
        finally:
            for handle in handles:
                handle.remove()
        *self.early, last = logits
        return last, gate_scores(self.found, known, x)

    def logits(self, x: Tensor) -> list[Tensor]:
        """Images -> early exits' logits and the network's own."""
        given = tensors(self.net(x))
        return [given[index] for index in self.found.logits]

    def outputs(self, x: Tensor) -> Outputs:
        """The same as the zoo's networks have it, for an exporter: scores are left out."""
        return tuple(self.logits(x)), []


def gate_scores(found: Returned, known: dict[str, Tensor], like: Tensor) -> list[BlockScores]:
    """The scores of every gate; of one that no layer gave, open."""
    values = values_of(found.scores, known)
    rows = zip(values, found.scores, found.whole, strict=True)
    return [_scores(value, shape_of(node)[1], whole, like) for value, node, whole in rows]


def parts_of(scores: Sequence[BlockScores]) -> dict[tuple[int, int | None], Tensor]:
    """Scores by what they are of, see `penstock.model.macs.work`: a block, or channels."""
    found: dict[tuple[int, int | None], Tensor] = {}
    for index, own in enumerate(scores):
        found[index, None], found[index, 0] = own.block, own.channels
    return found


def _scores(value: Tensor | None, width: int, whole: bool, like: Tensor) -> BlockScores:
    count = len(like)
    ones, none = like.new_ones(count, 1), like.new_ones(count, 0)
    if value is None:
        value = like.new_ones(count, width)
    return BlockScores(value, none) if whole else BlockScores(ones, value)


def _keeper(known: dict[str, Tensor], name: str) -> Any:
    def keep(module: nn.Module, given: Any, scores: Tensor) -> None:
        known[name] = scores.float() if torch.is_autocast_enabled() else scores

    return keep


KIND = Kind(name="module", config=OwnConfig, net=OwnNet, parse=parse_own, shape=shaped)

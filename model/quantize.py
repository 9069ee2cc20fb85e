"""The networks of this package as the hardware computes them, from their traces."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from penstock.model.backbones import Backbone
from penstock.model.densenet import DenseNet
from penstock.model.gate_network import GateNet
from penstock.model.gate_plan import GatePlan
from penstock.model.gates import Gate, PooledGate
from penstock.model.labels import layer_labels
from penstock.model.networks import BlockScores, LCNet, joined_scores
from penstock.model.own.network import OwnNet, gate_scores
from penstock.model.own.outputs import tensors
from penstock.model.qat.builder import scale_path
from penstock.model.qat.network import QatNetwork
from penstock.model.qat.prepare import prepare_qat
from penstock.model.quantizers import ActivationQuantizer

AnyNet = LCNet | DenseNet | Backbone | OwnNet


class QuantNetwork(QatNetwork):
    """A network with the hardware's number formats; calibrate it before use.

    `early`: logits of the early exits, float [N, classes] each, from the last forward pass.
    `gate_plans`: its gate networks, with the groups that they have learned.
    """

    early: list[Tensor]

    def __init__(self, net: AnyNet) -> None:
        device = next(net.parameters()).device
        own = isinstance(net, OwnNet)
        example = torch.zeros(1, net.config.in_channels, *net.config.input_size, device=device)
        traced = prepare_qat(net.net, example) if own else prepare_qat(net, example, "outputs")
        super().__init__(traced.net.to(device), traced.image_shape, traced.scored)
        self.found = net.found if own else None
        self.config = net.config
        self.early = []
        self.gate_plans = network_gates(net)
        self.gate_paths = tuple(gate_paths(net.net if own else net))
        self.labels = layer_labels(net)

    def layer(self, path: str) -> nn.Module:
        """What is at a path of the float network."""
        return self.net.get_submodule(path)

    def scale(self, label: str) -> Tensor:
        """The scale of what the layer at a path of the float network puts out, and of all that
        shares it; of "input" the image's."""
        quantizer = self.net.get_submodule(scale_path(label))
        assert isinstance(quantizer, ActivationQuantizer)
        return quantizer.scale

    def forward(self, x: Tensor) -> tuple[Tensor, list[BlockScores]]:
        """Images, float [N, Cin, H, W] -> logits on the int8 grid [N, classes], scores."""
        if self.found is not None:
            given = tensors(self.net(x))
            *self.early, logits = (given[index] for index in self.found.logits)
            known = {
                self.scored[path]: gate.scores
                for path, gate in self.gates()
                if gate.scores is not None
            }
            return logits, gate_scores(self.found, known, x)
        (*self.early, logits), decided = self.net(x)
        return logits, joined_scores(self.config, x, decided)


def network_gates(net: nn.Module) -> list[GatePlan]:
    """The gate networks of a float or quantised network, with the groups they have learned."""
    if isinstance(net, QuantNetwork):
        return net.gate_plans
    return [module.settled_plan() for module in net.modules() if isinstance(module, GateNet)]


def gate_paths(net: nn.Module) -> Iterator[str]:
    """The paths of all gates of a float network."""
    for path, module in net.named_modules():
        if isinstance(module, Gate | GateNet | PooledGate):
            yield path


def gate_parameters(net: nn.Module) -> set[nn.Parameter]:
    """The parameters of all gates of a float or quantised network."""
    twin = isinstance(net, QuantNetwork)
    paths = [f"net.{path}" for path in net.gate_paths] if twin else list(gate_paths(net))
    layers = [net.get_submodule(path) for path in paths]
    return {parameter for layer in layers for parameter in layer.parameters()}

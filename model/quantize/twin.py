"""The networks of this package as the hardware computes them, from their traces."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from penstock.model.gates.lcnet import Gate
from penstock.model.gates.network import GateNet
from penstock.model.gates.plan import GatePlan
from penstock.model.gates.pooled import PooledGate
from penstock.model.networks.labels import layer_labels
from penstock.model.networks.own import OwnNet, gate_scores
from penstock.model.networks.registry import AnyNet
from penstock.model.networks.scores import BlockScores, joined_scores
from penstock.model.quantize.builder import scale_path
from penstock.model.quantize.network import QatNetwork
from penstock.model.quantize.prepare import prepare_qat
from penstock.model.quantize.quantizers import ActivationQuantizer
from penstock.model.trace.outputs import tensors


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

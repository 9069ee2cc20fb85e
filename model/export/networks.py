"""ONNX files of this package's networks: quantised from the trace, in floating point by PyTorch."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from penstock.model.export.onnx_graph import OPSET
from penstock.model.export.qdq import INPUT, OUTPUT, export_qat
from penstock.model.export.stages import has_stages, in_stages
from penstock.model.gates.experts import Routed, Router
from penstock.model.networks.labels import labelled
from penstock.model.networks.registry import AnyNet
from penstock.model.networks.resnet import ResidualBlock
from penstock.model.plans.layers import plain_conv
from penstock.model.plans.network import NetworkGeometry
from penstock.model.quantize.prepare import copied
from penstock.model.quantize.quantizers import identity_conv
from penstock.model.quantize.twin import QuantNetwork
from penstock.model.stages.masked_conv import MaskedConv, linked_weight
from penstock.model.trace.tracer import deployed


def exit_name(index: int) -> str:
    """Output of an early exit."""
    return f"exit{index}"


def build_onnx(net: QuantNetwork, metadata: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """A quantised network as an ONNX model: float "input" [N, C, H, W] -> "logits" [N, classes].

    Exits are outputs "exit0", ... before it; `metadata` goes into metadata_props under "penstock.",
    the network's name and schedule are always there.
    """
    properties = {"schedule": net.config.schedule, **(metadata or {})}
    exported = in_stages(net) if has_stages(net) else net
    label = partial(labelled, net.labels)
    return export_qat(exported, properties, name=net.config.name, label=label)


def build_float_onnx(net: AnyNet, metadata: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """The same of a network in floating point, in evaluation mode, without exits.

    PyTorch's own export, for `penstock compile --calibration`; a network in stages as a whole,
    with missing links at 0.
    """
    config, file = net.config, io.BytesIO()
    module = _Logits(_plain(copied(net).eval()))
    example = torch.zeros(1, config.in_channels, *config.input_size)
    torch.onnx.export(
        module,
        (example,),
        file,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: {0: "N"}, OUTPUT: {0: "N"}},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load_model_from_string(file.getvalue())
    helper.set_model_props(model, _properties(config, metadata))
    return model


def _properties(config: NetworkGeometry, metadata: Mapping[str, str] | None) -> dict[str, str]:
    found = {"network": config.name, "schedule": config.schedule, **(metadata or {})}
    return {f"penstock.{key}": value for key, value in found.items()}


class _Logits(nn.Module):
    """A network without what it returns for its training."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net.outputs(x)[0][-1]
        return logits


class _Signs(nn.Module):
    """A router whose dense layer gives z and -z, of which both experts take the sign."""

    def __init__(self, router: Router) -> None:
        super().__init__()
        self.router = router
        fc = router.fc
        self.fc = nn.Linear(fc.in_features, 2)
        with torch.no_grad():
            self.fc.weight.copy_(torch.cat([fc.weight, -fc.weight]))
            self.fc.bias.copy_(torch.cat([fc.bias, -fc.bias]))

    def choose(self, x: Tensor) -> Routed:
        z = self.fc(self.router.pooled(x))
        first, second = z[:, :1] > 0, z[:, 1:] >= 0
        return Routed(x, (first.to(z.dtype), second.to(z.dtype)))


def _shortcut(block: ResidualBlock) -> tuple[nn.Conv2d | None, nn.Module | None]:
    """The block's convolution on the shortcut; one of option A has fixed weights."""
    plan = block.plan
    if block.shortcut is not None or not plan.changes_shape:
        return block.shortcut, block.shortcut_bn
    conv = nn.Conv2d(plan.in_channels, plan.channels, 1, stride=plan.stride, bias=False)
    first = block.zeros[0]
    conv.weight.copy_(identity_conv(plan.in_channels, plan.channels, plan.stride, first).weight)
    return conv, nn.Identity()


@torch.no_grad()
def _plain(net: nn.Module) -> nn.Module:
    """The network of layers that a file has."""
    for path, module in list(deployed(net).named_modules()):
        if isinstance(module, MaskedConv):
            plain = plain_conv(module.split.plan)
            plain.weight.copy_(linked_weight(module))
            net.set_submodule(path, plain)
        elif isinstance(module, ResidualBlock):
            module.shortcut, module.shortcut_bn = _shortcut(module)
        elif isinstance(module, Router):
            net.set_submodule(path, _Signs(module))
    return net

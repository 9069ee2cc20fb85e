"""Names that tensors had in older checkpoints.

Format 1: every kind of network had a quantised class of its own, with names for its scales.  Since
then a scale has the name of the first layer that it is the output's of
(`penstock.model.quantize.builder`), and layers have the names that they have in the float network.

Format 2: layers of residual blocks and of gate networks were attributes, `conv1`, `bn1`, `gate1`,
`cnet`, `cnet2`; now they are in lists, `convs.0`, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from penstock.model.errors import CheckpointError
from penstock.model.gates.network import GateNet
from penstock.model.networks.densenet import DenseNet
from penstock.model.networks.labels import cnet_name
from penstock.model.networks.registry import AnyNet
from penstock.model.networks.resnet import ResidualBlock, ResNet
from penstock.model.networks.units import UnitNet
from penstock.model.quantize.builder import scale_path
from penstock.model.quantize.twin import QuantNetwork

Scales = Iterator[tuple[str, str]]  # (label of what is quantised, old name of the quantiser)


def second_names(net: AnyNet, names: Iterable[str]) -> dict[str, str]:
    """Names of format 2 of tensors of a network or of its quantised twin, by their new ones."""
    parts = _parts(net)
    return {name: _in_second(name, parts) for name in names}


def old_names(net: AnyNet, quantized: QuantNetwork) -> dict[str, str]:
    """Names of format 1 of the tensors in a quantised network's state, by their new ones."""
    walks: dict[type, Any] = {ResNet: _resnet, DenseNet: _densenet, UnitNet: _backbone}
    scales = {
        f"net.{scale_path(label)}.scale": f"{old}.scale" for label, old in walks[type(net)](net)
    }
    pads = dict(_pads(net)) if isinstance(net, ResNet) else {}
    second = second_names(net, quantized.state_dict())
    return {new: scales.get(name) or _layer(name, pads) for new, name in second.items()}


def renamed(state: Mapping[str, Tensor], names: Mapping[str, str], what: str) -> dict[str, Tensor]:
    """A state of an older format under the new names; weights without one stay as they are.

    `what` is the state's own name.  Raises CheckpointError of a tensor that is missing.
    """
    for new, old in names.items():
        if old not in state:
            raise CheckpointError(f"'{old}' of '{what}' is in the network alone ({new})")
    unused = state.keys() - set(names.values())
    # Some classes had quantisers for what other configurations have.
    return {new: state[old] for new, old in names.items()} | {
        name: state[name] for name in unused if not name.endswith(".scale")
    }


def _parts(net: nn.Module) -> list[tuple[str, str]]:
    """What `_lists` has, what is inside others first."""
    return sorted(_lists(net), key=lambda part: -len(part[0]))


def _lists(net: nn.Module) -> Scales:
    """(path now, path in format 2) of what was an attribute and is in a list."""
    for path, module in net.named_modules():
        if isinstance(module, ResidualBlock | GateNet):
            for index in range(len(module.convs)):
                yield f"{path}.convs.{index}", f"{path}.conv{index + 1}"
                yield f"{path}.bns.{index}", f"{path}.bn{index + 1}"
        if isinstance(module, ResidualBlock):
            yield from (
                (f"{path}.gates.{key}", f"{path}.gate{int(key) + 1}") for key in module.gates
            )
            for index in range(len(module.cnets)):
                yield f"{path}.cnets.{index}", f"{path}.{cnet_name(index)}"


def _in_second(name: str, parts: Sequence[tuple[str, str]]) -> str:
    """A tensor's name in format 2; that of a scale has its layer's path with "_" for "."."""
    head, scale, tail = name.partition("scales.")
    for new, old in parts:
        if scale:
            new, old = new.replace(".", "_"), old.replace(".", "_")
        tail_or_name = tail if scale else name.removeprefix("net.")
        if re.match(rf"{re.escape(new)}(?=[._]|$)", tail_or_name):
            changed = old + tail_or_name[len(new) :]
            if scale:
                tail = changed
            else:
                name = f"net.{changed}" if name.startswith("net.") else changed
    return head + scale + tail if scale else name


def _layer(name: str, pads: Mapping[str, str]) -> str:
    """The old name of a weight or a bias."""
    path, _, last = name.removeprefix("net.").rpartition(".")
    name = f"{pads.get(path, path)}.{last}"
    return re.sub(r"\.(lnet|cnet\d*)\.fc\.", r".\1.", name)


def _pads(net: ResNet) -> Scales:
    """Shortcuts without weights: behind the block before theirs, (new path, old path)."""
    before = "conv"
    for index, block in enumerate(net.blocks):
        if block.shortcut is None and block.plan.changes_shape:
            yield f"{before}_pad", f"blocks.{index}.shortcut"
        before = f"blocks.{index}.conv{len(block.plan.convs)}"


def _gate(gate: GateNet, path: str) -> Scales:
    """Scales of a gate network behind its input."""
    last, squeeze = "", gate.plan.squeeze
    for number in range(1, len(gate.plan.convs) + 1):
        last = f"{path}.conv{number}"
        yield last, f"{path}.out{number}"
        if number == squeeze:
            yield f"{last}.pool", f"{path}.excite.pool"
            yield f"{path}.excite.squeeze", f"{path}.excite.hidden"
            last = f"{last}.scaled"
            yield last, f"{path}.excite.out"
    if last:
        yield f"{last}.pool", f"{path}.pool"


def _gates(net: nn.Module) -> Scales:
    for path, module in net.named_modules():
        if isinstance(module, GateNet):
            yield from _gate(module, _in_second(path, _parts(net)))


def _resnet(net: ResNet) -> Scales:
    yield "input", "input"
    yield from _gates(net)
    before = "conv"
    first = next(iter(net.blocks)).plan  # type: ignore[union-attr]
    yield before, "stem_chain" if first.changes_shape else "chains.0"
    for index, block in enumerate(net.blocks):
        name, plan = f"blocks.{index}", block.plan
        assert hasattr(plan, "convs")
        if block.lnet is not None or len(block.cnets):
            yield f"{before}.pool", f"{name}.pool"
        if block.router is not None and not block.router.plan.convs:
            yield f"{before}.pool", f"{name}.router.pool"
        if plan.changes_shape:
            shortcut = f"{before}_pad" if block.shortcut is None else f"{name}.shortcut"
            yield shortcut, f"chains.{plan.stage}"
        for number, inner in zip(range(1, len(plan.convs)), ("inner", "inner2"), strict=False):
            yield f"{name}.conv{number}", f"{name}.{inner}"
        before = f"{name}.conv{len(plan.convs)}"
        if index in net.exit_blocks:
            following = net.blocks[index + 1]
            if following.lnet is None and not len(following.cnets):
                yield f"{before}.pool", f"head_pools.{net.exit_blocks.index(index)}"
    yield from [(f"{before}.pool", "pool"), ("heads.0", "head_logits"), ("fc", "logits")]


def _densenet(net: DenseNet) -> Scales:
    yield from [("input", "input"), ("norm", "normed"), ("norm.pool", "pool"), ("fc", "logits")]
    yield from _gates(net)
    before = "stem"
    for index, block in enumerate(net.blocks):
        name = f"blocks.{index}"
        yield before, f"{name}.maps"
        for number in range(len(block.layers)):
            layer = f"{name}.layers.{number}"
            yield from [(f"{layer}.norm", f"{layer}.normed"), (f"{layer}.conv1", f"{layer}.inner")]
        yield from [(f"{name}.norm", f"{name}.normed"), (f"{name}.conv", f"{name}.halved")]
        before = f"{name}.conv.pool"
    yield before, "last"


def _backbone(net: UnitNet) -> Scales:
    yield from [("input", "input"), ("heads.0", "head_logits"), ("fc", "logits")]
    outs, before = 0, ""
    for index, unit in enumerate(net.units):
        name, plan = f"units.{index}", unit.plan
        for number in range(len(plan.convs) - 1):
            yield f"{name}.convs.{number}", f"{name}.inner.{number}"
        before = f"{name}.convs.{len(plan.convs) - 1}"
        if not plan.residual:
            yield before if plan.shortcut is None else f"{name}.shortcut", f"outs.{outs}"
            outs += 1
    yield f"{before}.pool", "pool"

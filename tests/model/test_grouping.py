"""ACS-DG: learned groups in training form, and the plain groups that they become."""

from functools import reduce
from itertools import product

import numpy as np
import onnx
import pytest
import torch

from penstock.model import ResNetConfig, build_onnx, network_gates, random_network
from penstock.model.errors import ConfigError
from penstock.model.gates.families import gate_networks
from penstock.model.gates.grouping import GroupingConv
from penstock.model.gates.network import GateNet
from penstock.model.macs.count import dense_macs, gate_macs
from penstock.model.networks.registry import build_any
from penstock.model.networks.resnet import ResNet
from penstock.model.quantize.random_network import random_float_network
from penstock.model.train.pressure import grouping_share

BITS = 3
SHUFFLED = 5  # a seed with relations of which neither is the finer
SIGNS = list(product([-1.0, 1.0], repeat=BITS))
CONFIG = ResNetConfig(
    depth=8, gates="acsdg", widths=(32, 16, 32), in_channels=2, input_size=(8, 6), classes=5
)


def convs_of(gate: GateNet) -> list[GroupingConv]:
    """Both 3x3 convolutions."""
    found = [conv for conv, _ in gate.layers() if isinstance(conv, GroupingConv)]
    assert len(found) == 2
    return found


def first_gate(net: ResNet) -> GateNet:
    """On 32 channels, so with 8 inside."""
    gate = net.blocks[0].gates["0"]
    assert isinstance(gate, GateNet)
    return gate


@pytest.mark.parametrize("signs", SIGNS)
def test_relationship_is_the_kronecker_product(signs: tuple[float, ...]) -> None:
    """Equations 3 and 4; live links are 2^(K + sum of the gates)."""
    conv = GroupingConv(8, 3, 1)
    conv.relations.data = torch.tensor(signs)
    factors = [np.ones((2, 2)) if sign > 0 else np.eye(2) for sign in signs]
    expected = reduce(np.kron, factors)
    np.testing.assert_array_equal(conv.relationship().detach().numpy(), expected)
    ones = sum(sign > 0 for sign in signs)
    assert expected.sum() == 2 ** (BITS + ones)
    assert float(conv.live_share().detach()) == expected.sum() / 64


def test_zero_is_a_one() -> None:
    """sign(0) = 1 in the paper; and what learns is straight through."""
    conv = GroupingConv(4, 1, 1)
    conv.relations.data.zero_()
    assert conv.relationship().detach().min() == 1
    conv.live_share().backward()
    assert conv.relations.grad is not None and conv.relations.grad.tolist() == [0.5, 0.5]


def test_the_loss_of_the_classes_reaches_the_relations() -> None:
    conv = GroupingConv(8, 3, 2)
    conv(torch.rand(2, 8, 5, 4)).square().sum().backward()
    assert conv.relations.grad is not None and bool((conv.relations.grad != 0).all())


def test_channels_are_a_power_of_two() -> None:
    with pytest.raises(ConfigError, match="power of two"):
        GroupingConv(12, 3, 1)
    config = ResNetConfig(gates="acsdg", widths=(4, 24, 28))
    assert {gate.pooled for gate in gate_networks(config)} == {1, 4}


@pytest.mark.parametrize("second", SIGNS)
@pytest.mark.parametrize("first", SIGNS)
def test_groups_compute_what_the_masks_do(
    first: tuple[float, ...], second: tuple[float, ...]
) -> None:
    """Every pair of relations: the chain in groups has the scores of the masked chain."""
    gate = first_gate(random_float_network(CONFIG, seed=3))
    for conv, signs in zip(convs_of(gate), (first, second), strict=True):
        conv.relations.data = torch.tensor(signs)
    x = torch.randn(2, 32, 8, 6, generator=torch.Generator().manual_seed(1))
    settled = gate.deployed()
    with torch.no_grad():
        found = settled.fc(settled.pooled(x))
        torch.testing.assert_close(found, gate.fc(gate.pooled(x)))
    weights = [conv.weight.numel() for conv, _ in settled.layers()]
    links = [9 * 2 ** (BITS + sum(s > 0 for s in signs)) for signs in (first, second)]
    assert weights[1:] == links
    nested = _identities(first) <= _identities(second) or _identities(second) <= _identities(first)
    assert bool(settled.orders[2]) != nested
    assert not settled.orders[0] and not settled.orders[1]


def _identities(signs: tuple[float, ...]) -> set[int]:
    return {index for index, sign in enumerate(signs) if sign < 0}


def test_macs_are_the_live_links() -> None:
    net = build_any(CONFIG, seed=0)
    assert gate_macs(CONFIG, network_gates(net)) == gate_macs(CONFIG)
    gate = first_gate(net)
    for conv, bits in zip(convs_of(gate), ([0], [1, 2]), strict=True):
        conv.relations.data[bits] = -1.0
    plan = gate.settled_plan()
    assert [conv.groups for conv in plan.convs] == [1, 2, 4]
    spared = sum(conv.macs for conv in gate.plan.convs) - sum(conv.macs for conv in plan.convs)
    assert gate_macs(CONFIG) - gate_macs(CONFIG, network_gates(net)) == spared > 0


def test_resource_term_closes_groups() -> None:
    """Every relation has a cost: its part of the gates' MACs, over the backbone's."""
    net = build_any(CONFIG, seed=0)
    share = grouping_share(net, CONFIG)
    assert isinstance(share, torch.Tensor)
    plans = [conv for gate in gate_networks(CONFIG) for conv in gate.convs if conv.grouping]
    assert float(share.detach()) == pytest.approx(sum(p.macs for p in plans) / dense_macs(CONFIG))
    share.backward()
    relations = [m.relations for m in net.modules() if isinstance(m, GroupingConv)]
    assert len(relations) == len(plans)
    for relation in relations:
        assert relation.grad is not None and bool((relation.grad > 0).all())
    assert grouping_share(build_any(ResNetConfig(gates="acs"), 0), CONFIG) == 0.0


def test_exported_convolutions_have_groups() -> None:
    net = random_network(CONFIG, seed=SHUFFLED)
    nodes = {node.name: node for node in build_onnx(net).graph.node}
    groups = []
    for plan in network_gates(net):
        for conv in plan.convs:
            (group,) = [a.i for a in nodes[conv.name].attribute if a.name == "group"]
            assert group == conv.groups
            groups.append(group)
    assert len(set(groups)) >= 3
    assert any(node.op_type == "Gather" for node in nodes.values())
    onnx.checker.check_model(build_onnx(net))

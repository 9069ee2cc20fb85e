"""Hard mixture of experts: one of two runs, whatever the image; training and export agree."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.compiler import ir
from penstock.compiler.importer import import_onnx
from penstock.compiler.interpreter import run_node
from penstock.model import QuantNetwork, ResNetConfig, build_onnx, random_images, random_network
from penstock.model.gates.experts import Router
from penstock.model.gates.network import GateNet
from penstock.model.gates.plan import gate_plan
from penstock.model.macs.count import dense_macs, executed_macs, gate_layer_macs
from penstock.model.networks.registry import build_any
from penstock.model.plans.network import block_plans
from penstock.model.quantize.quantizers import QuantLinear
from penstock.model.train.pressure import load_balance

CONFIG = ResNetConfig(
    depth=14, gates="moe", widths=(4, 6, 8), in_channels=2, input_size=(8, 6), classes=4
)


def test_blocks_that_keep_their_shape_have_two_experts() -> None:
    names = [plan.name for plan in block_plans(CONFIG)]
    assert names == [
        *("stage0.block0.expert0", "stage0.block0.expert1"),
        *("stage0.block1.expert0", "stage0.block1.expert1"),
        *("stage1.block0", "stage1.block1.expert0", "stage1.block1.expert1"),
        *("stage2.block0", "stage2.block1.expert0", "stage2.block1.expert1"),
    ]
    net = build_any(CONFIG, seed=0)
    routers = [module for module in net.modules() if isinstance(module, Router)]
    assert len(routers) == 4
    assert gate_layer_macs(CONFIG)["stage1.block1.router.fc"] == 12


Z = torch.tensor([-1.0, 0.0, 1e-9, 2.0]).reshape(4, 1, 1, 1)


def one_channel_router() -> Router:
    """A router whose sum is the one channel that it reads."""
    router = Router(gate_plan("router", 1, (1, 1), (), 2))
    router.fc.weight.data.fill_(1.0)
    router.fc.bias.data.zero_()
    return router


def test_a_tie_is_the_seconds() -> None:
    router = one_channel_router().eval()
    first, second = router.choose(Z).scores
    assert torch.cat([first, second], 1).tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]


def test_both_experts_train_the_router() -> None:
    router = one_channel_router().train()
    first, second = router.choose(Z[:1] + 1.5).scores  # z = 0.5
    (first * 3.0 + second).sum().backward()
    half = torch.sigmoid(torch.tensor(0.5))
    assert router.fc.bias.grad is not None
    torch.testing.assert_close(router.fc.bias.grad[0], 2 * half * (1 - half))


def test_a_block_is_the_chosen_expert() -> None:
    """y = relu(x + A(x) g + B(x) (1 - g)) though B comes behind A."""
    net = random_network(CONFIG, keep_blocks=0.5, seed=3)
    maps: list[torch.Tensor] = []
    net.layer("scales.conv").register_forward_hook(lambda module, given, made: maps.append(made))
    images = random_images(CONFIG, 20, torch.Generator().manual_seed(1))
    with torch.no_grad():
        _, scores = net(images)
        x, _, y = maps[:3]
        first = scores[0].block[:, 0]
        assert 0 < float(first.mean()) < 1
        for number, expert in enumerate(("blocks.0", "blocks.1")):
            chosen = first == 1 - number
            inner = net.layer(f"scales.{expert.replace('.', '_')}_convs_0")
            hidden = inner(torch.relu(net.layer(f"{expert}.convs.0")(x, net.scale("conv"))))
            branch = net.layer(f"{expert}.convs.1")(hidden, inner.scale)
            alone = net.layer("scales.conv")(torch.relu(branch + x))
            assert torch.equal(y[chosen], alone[chosen])


def test_one_of_two_is_counted() -> None:
    net = random_network(CONFIG, keep_blocks=0.5, seed=3)
    _, scores = net(random_images(CONFIG, 16, torch.Generator().manual_seed(1)))
    pairs = [
        s.block for s, p in zip(scores, block_plans(CONFIG), strict=True) if p.expert is not None
    ]
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        assert (first + second).unique().tolist() == [1.0]
    experts = [p for p in block_plans(CONFIG) if p.expert == 0]
    unused = sum(conv.macs for plan in experts for conv in plan.convs)
    assert set(executed_macs(CONFIG, scores).backbone.tolist()) == {dense_macs(CONFIG) - unused}


def test_balance() -> None:
    """0 where both experts have half of the batch; its gradient moves towards that."""
    net = build_any(CONFIG, seed=0).train()
    images = random_images(CONFIG, 16, torch.Generator().manual_seed(1))
    routers = [module for module in net.modules() if isinstance(module, GateNet)]
    for bias, expected in ((9.0, 1.0), (-9.0, 1.0)):
        for router in routers:
            router.fc.weight.data.mul_(0.1)
            router.fc.bias.data.fill_(bias)
        _, scores = net(images)
        assert float(load_balance(CONFIG, scores).detach()) == expected
        net.zero_grad()
        load_balance(CONFIG, scores).backward()
        for router in routers:
            assert router.fc.bias.grad is not None
            assert float(router.fc.bias.grad[0]) * bias > 0
    half = [type(s)(torch.tensor([[0.0], [1.0]]), s.channels[:2]) for s in scores]
    assert float(load_balance(CONFIG, half)) == 0.0


TINY = ResNetConfig(
    depth=8, gates="moe", widths=(2, 2, 2), in_channels=1, input_size=(4, 4), classes=2
)


Fixture = tuple[QuantNetwork, QuantLinear, Path]


@pytest.fixture(scope="module")
def router_of_two(tmp_path_factory: pytest.TempPathFactory) -> Fixture:
    """A network whose only router reads two channels, the router, and a place for a file."""
    net = random_network(TINY, keep_blocks=0.5, seed=1, images=16)
    (router,) = [module for path, module in net.named_modules() if path.endswith(".router.fc")]
    return net, router, tmp_path_factory.mktemp("router") / "net.onnx"


@settings(max_examples=15, deadline=None)
@given(
    weight=st.tuples(st.integers(-127, 127), st.integers(-127, 127)).filter(any),
    tie=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
def test_exactly_one_runs_for_every_input(
    router_of_two: Fixture, weight: tuple[int, int], tie: tuple[int, int]
) -> None:
    """All 65,536 inputs of the imported gates; the bias puts one of them on the threshold."""
    net, router, path = router_of_two
    with torch.no_grad():
        top = max(map(abs, weight))
        router.weight.copy_(torch.tensor([weight]) / 1000)
        step = float(net.scale("conv.pool")) * top / 127000
        exact = [round(w * 127 / top) for w in weight]  # the integers, to int8's full range
        router.bias.fill_(-step * (exact[0] * tie[0] + exact[1] * tie[1]))
    onnx.save(build_onnx(net), path)
    graph = import_onnx(path)
    gates = [node for node in graph.nodes if isinstance(node, ir.Gate)]
    assert [gate.binary for gate in gates] == [True, True]
    inputs = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1).reshape(-1, 2)
    scores = [
        run_node(graph, gate, {gate.input: inputs.astype(np.uint8)}).astype(int) for gate in gates
    ]
    assert (scores[0] + scores[1] == 128).all()
    at = inputs @ gates[0].weight[0].astype(int) + gates[0].bias[0]
    assert (scores[0][:, 0] > 0).tolist() == (at > 0).tolist()
    assert (at == 0).any()


def test_both_gates_are_one_descriptor(tmp_path: Path) -> None:
    net = random_network(CONFIG, keep_blocks=0.5, seed=3)
    onnx.save(build_onnx(net), tmp_path / "net.onnx")
    graph = import_onnx(tmp_path / "net.onnx")
    gates = [node for node in graph.nodes if isinstance(node, ir.Gate)]
    assert len(gates) == 8 and len({gate.input for gate in gates}) == 4

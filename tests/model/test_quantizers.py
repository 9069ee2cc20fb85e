"""Learned activation scales: their gradient, their life cycle, and that they learn."""

import pytest
import torch
from torch.nn import functional as F

from penstock.model import ResNetConfig, build_onnx, random_images, random_network
from penstock.model.quantize.quantizers import SCALE_GAIN, ActivationQuantizer, QuantLinear
from penstock.model.quantize.twin import QuantNetwork


def quantizer(scale: float) -> ActivationQuantizer:
    """One that learns its scale."""
    made = ActivationQuantizer()
    made.scale.fill_(scale)
    made.learn()
    return made.train()


def scale_gradient(x: torch.Tensor, scale: float, signed: bool) -> float:
    """d sum(y) / ds, from the gradient of the parameter behind it."""
    made = quantizer(scale)
    made(x, signed).sum().backward()
    (parameter,) = made.parameters()
    assert parameter.grad is not None
    return float(parameter.grad) / (scale * SCALE_GAIN)


@pytest.mark.parametrize(
    "x, signed, expected",
    [
        (0.55, False, 1 - 1.1),  # in the range: the rounding error, in steps
        (0.8, False, 2 - 1.6),
        (200.0, False, 255.0),  # beyond it: the bound
        (-3.0, False, 0.0),
        (100.0, True, 127.0),
        (-100.0, True, -128.0),
    ],
)
def test_gradient_of_the_scale(x: float, signed: bool, expected: float) -> None:
    found = scale_gradient(torch.tensor([x]), 0.5, signed)
    assert found == pytest.approx(expected, abs=1e-4)
    assert scale_gradient(torch.tensor([x] * 3), 0.5, signed) == pytest.approx(3 * found)


def test_value_and_gradient_of_the_input_are_those_of_a_constant_scale() -> None:
    x = torch.linspace(-5, 140, 500)
    learned, constant = quantizer(0.5), ActivationQuantizer()
    constant.scale.fill_(0.5)
    constant.scale.copy_(learned.scale.detach())  # exp(log(0.5)): the last bit may differ
    results = []
    for each in (learned, constant):
        source = x.clone().requires_grad_()
        y = each(source)
        y.sum().backward()
        results.append((y.detach(), source.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.fixture
def network() -> QuantNetwork:
    return random_network(ResNetConfig(widths=(4, 6, 8)), keep_channels=0.8, seed=4)


def fine_tune(net: QuantNetwork, steps: int, spoil: float = 1.0) -> list[float]:
    """The loss against the network's own classes: as it is, then while its scales, times
    `spoil`, are all that learns."""
    x = random_images(net.config, 32, torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = net(x)[0]
    labels = logits.argmax(dim=1)
    losses = [float(F.cross_entropy(logits, labels))]
    for each in net.quantizers():
        each.scale.mul_(spoil)
    net.learn_scales()
    net.train()
    scales = [p for name, p in net.named_parameters() if "scale" in name]
    assert len(scales) == len(net.quantizers())
    optimizer = torch.optim.SGD(scales, lr=0.01, momentum=0.9)
    for _ in range(steps):
        loss = F.cross_entropy(net(x)[0], labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in scales)
        optimizer.step()
        losses.append(float(loss.detach()))
    net.fix_scales()
    net.eval()
    return losses


def test_scales_alone_undo_a_bad_calibration(network: QuantNetwork) -> None:
    """Scales of a tenth: most of the loss they cost comes back."""
    calibrated, spoilt, *_, learned = fine_tune(network, 20, spoil=0.1)
    assert spoilt > calibrated + 0.2
    assert learned - calibrated < 0.4 * (spoilt - calibrated)
    assert all(float(each.scale) > 0 for each in network.quantizers())


def test_fixed_scales_are_what_checkpoints_hold(network: QuantNetwork) -> None:
    names = list(network.state_dict())
    fine_tune(network, 2)
    assert sorted(network.state_dict()) == sorted(names)
    assert not any("scale" in name for name, _ in network.named_parameters())
    same = random_network(network.config, seed=9)
    same.load_state_dict(network.state_dict())
    assert build_onnx(same).SerializeToString() == build_onnx(network).SerializeToString()


def test_learning_is_reproducible() -> None:
    config = ResNetConfig(widths=(4, 6, 8))
    runs = [random_network(config, seed=4) for _ in range(2)]
    assert fine_tune(runs[0], 5) == fine_tune(runs[1], 5)
    states = [net.state_dict() for net in runs]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_nothing_changes_without_steps(network: QuantNetwork) -> None:
    before = build_onnx(network).SerializeToString()
    network.fix_scales()
    assert build_onnx(network).SerializeToString() == before


@pytest.mark.parametrize("unit", [1e-7, 1e-4, 1e4, 1e7])
def test_images_in_other_units(unit: float) -> None:
    """Images times s, the first weights by s: the logits stay as they are, to a step or two."""
    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), classes=5)
    images = random_images(config, 8, torch.Generator().manual_seed(3))
    nets = [random_network(config, seed=4), random_network(config, seed=4)]
    with torch.no_grad():
        nets[1].layer("conv").weight.div_(unit)
    logits = []
    for net, x in zip(nets, (images, images * unit), strict=True):
        net.calibrate([x])
        with torch.no_grad():
            logits.append(net.eval()(x)[0])
    assert float(logits[0].abs().max()) > 0.1
    step = float(logits[0].abs().max()) / 127
    assert float((logits[0] - logits[1]).abs().max()) <= 2.5 * step


def test_scales_of_what_is_always_zero() -> None:
    """Finite, and the biases behind it are what they were."""
    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), classes=5)
    net = random_network(config, seed=5)
    net.calibrate([torch.zeros(2, 2, 8, 6)])
    scales = [m.scale for m in net.modules() if isinstance(m, ActivationQuantizer)]
    assert all(torch.isfinite(scale) and scale >= 1e-7 for scale in scales)
    build_onnx(net)


def test_small_weights_keep_their_steps() -> None:
    """Of a channel whose weights are small a step is its own; without weights any will do."""
    layer = QuantLinear(torch.nn.Linear(4, 3))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2, 3, -4], [1e-9, -2e-9, 3e-9, -4e-9], [0] * 4]))
        layer.bias.zero_()
    weight, bias, scale = layer.integers(torch.tensor(0.05))
    assert weight[0].tolist() == weight[1].tolist() == [32, -64, 95, -127]
    assert not weight[2].any() and not bias.any() and bool((scale > 0).all())

"""The three fake quantisers the hardware knows: activations, weights with biases, scores.

All have zero point 0 and round half to even; gradients pass straight through.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from penstock.model.gates.score import SCORE_ONE, leaky_relu1, relu1
from penstock.model.stages.masked_conv import MaskedConv
from penstock.model.stages.split import Links
from penstock.program.core.sigmoid import SIGMOID_STEPS

# Robust maximum: the rare outliers of a batch are clipped, finer steps pay for them.
CALIBRATION_QUANTILE = 0.9999
# A bias of a channel with (nearly) dead weights must still fit int32 at s_in * s_w, with
# room for the products; 2**22 is also exact in float32.
MAX_BIAS_STEPS = 2.0**22
# Of a channel without weights and bias: any scale is right.
DEAD_WEIGHT_SCALE = 1e-8
# Of a tensor that is always zero, after calibration; and what scales start from in it: real ones
# are larger, whatever the units of the images.
ZERO_SCALE = 1e-6
LEAST_SCALE = 1e-24
# Learned scales are e^(gain * parameter): so they stay positive, and a step changes one by a
# share of itself.  With gain 1, at the learning rate of the weights, they stayed within 3 % of
# their calibrated values in all of the demo's fine-tuning; gain 10 makes steps 100 times longer.
SCALE_GAIN = 10.0


class _LearnedSteps(torch.autograd.Function):
    """Fake quantisation with a gradient for its scale (LSQ: Esser et al., ICLR 2020).

    Of y = s * clip(round(x / s)) the derivative by s is round(x / s) - x / s within the range,
    and the bound that was hit outside it; by x it is 1 within the range, 0 outside.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
        ctx.save_for_backward(x, scale)
        ctx.bounds = low, high
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, scale = ctx.saved_tensors
        steps = x / scale
        codes = steps.round().clamp(*ctx.bounds)
        inside = codes == steps.round()
        by_scale = torch.where(inside, codes - steps, codes)
        return gradient * inside, (gradient * by_scale).sum(), None, None, None


class _Exponential(nn.Module):
    """A scale by its logarithm over `SCALE_GAIN`."""

    def forward(self, logarithm: Tensor) -> Tensor:
        return (SCALE_GAIN * logarithm).exp()

    def right_inverse(self, scale: Tensor) -> Tensor:
        return scale.log() / SCALE_GAIN


class ActivationQuantizer(nn.Module):
    """8-bit quantiser with one scale; `signed` selects int8 or uint8, the scale is shared.

    While `observing` it passes its input through and widens the scale to fit it.  Between
    `learn` and `fix` the scale is a parameter.
    """

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.zeros(()))
        self.register_buffer("zero", torch.zeros((), dtype=torch.int32), persistent=False)
        self.observing = False

    def forward(self, x: Tensor, signed: bool = False) -> Tensor:
        """Float, any shape -> the same, on the grid scale * 0..255 (or -128..127)."""
        if self.observing:
            self._observe(x, 127 if signed else 255)
            return x
        low, high = (-128, 127) if signed else (0, 255)
        if self.learning and self.training:
            return _LearnedSteps.apply(x, self.scale, self.zero, low, high)
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, low, high)

    @property
    def learning(self) -> bool:
        """Whether the scale is a parameter."""
        return parametrize.is_parametrized(self, "scale")

    def learn(self) -> None:
        """Make the scale a parameter, by its logarithm; it must have been calibrated."""
        scale = nn.Parameter(self.scale.detach().clone())
        del self.scale
        self.register_parameter("scale", scale)
        parametrize.register_parametrization(self, "scale", _Exponential())

    def fix(self) -> None:
        """Make a learned scale a constant again, as calibration and checkpoints have it."""
        scale = self.scale.detach().clone()
        parametrize.remove_parametrizations(self, "scale")
        del self.scale
        self.register_buffer("scale", scale)

    @torch.no_grad()
    def _observe(self, x: Tensor, levels: int) -> None:
        magnitudes = x.abs().flatten()
        rank = max(1, round(CALIBRATION_QUANTILE * magnitudes.numel()))
        top = magnitudes.kthvalue(rank).values
        self.scale.copy_(torch.maximum(self.scale, top / levels))


class _QuantizedLayer(nn.Module):
    """Weights int8 per output channel in [-127, 127], biases int32 at s_in * s_w."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())

    def linked(self) -> Tensor:
        """The weights, those of missing links at 0."""
        return self.weight

    @torch.no_grad()
    def weight_scale(self, in_scale: Tensor) -> Tensor:
        """Float [outputs]: follows the weights, so that training never leaves the grid."""
        top = self.linked().abs().flatten(1).amax(dim=1) / 127
        floor = self.bias.abs() / (in_scale * MAX_BIAS_STEPS)
        scale = torch.maximum(top, floor)
        return torch.where(scale > LEAST_SCALE, scale, DEAD_WEIGHT_SCALE)

    def quantized(self, in_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Fake-quantised weight and bias for an input at `in_scale`."""
        scale = self.weight_scale(in_scale)
        zero = torch.zeros_like(scale, dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(self.linked(), scale, zero, 0, -127, 127)
        step = in_scale * scale
        exact = (torch.round(self.bias / step) * step).detach()
        return weight, exact + (self.bias - self.bias.detach())  # value: `exact`, to the bit

    @torch.no_grad()
    def integers(self, in_scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(weights int8, biases int32, weight scales float [outputs]) as exported."""
        scale = self.weight_scale(in_scale)
        weight, _ = self.quantized(in_scale)
        shape = (-1,) + (1,) * (weight.dim() - 1)
        weight_int = torch.round(weight / scale.view(shape)).to(torch.int8)
        bias_int = torch.round(self.bias / (in_scale * scale)).to(torch.int32)
        return weight_int, bias_int, scale


class QuantConv(_QuantizedLayer):
    """A convolution with its batch norm folded in.

    `live`: 1 for the links that are there, 0 for missing ones, float [C, Cin, 1, 1]; None: all are.
    """

    live: Tensor | None

    def __init__(self, conv: nn.Conv2d, bn: nn.BatchNorm2d) -> None:
        running_mean, running_var = bn.running_mean, bn.running_var
        assert running_mean is not None and running_var is not None
        gain = bn.weight / torch.sqrt(running_var + bn.eps)  # [C]
        super().__init__(conv.weight * gain.view(-1, 1, 1, 1), bn.bias - running_mean * gain)
        assert isinstance(conv.padding, tuple)
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        self.groups = conv.groups
        masked = isinstance(conv, MaskedConv)
        self.split = conv.split if masked else None  # its stages
        self.register_buffer("live", conv.live if masked else None, persistent=False)

    def linked(self) -> Tensor:
        """The weights, those of missing links at 0."""
        return self.weight if self.live is None else self.weight * self.live

    @torch.no_grad()
    def share(self, links: Links) -> QuantConv:
        """The convolution of some of its channels alone."""
        part = copy.deepcopy(self)
        part.weight = nn.Parameter(self.linked()[links.outputs][:, links.inputs])
        part.bias = nn.Parameter(self.bias[links.outputs])
        part.groups, part.split, part.live = links.groups, None, None
        return part

    def forward(self, x: Tensor, in_scale: Tensor) -> Tensor:
        """Float [N, Cin, H, W] -> float [N, C, H', W'], not requantised."""
        weight, bias = self.quantized(in_scale)
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def identity_conv(in_channels: int, channels: int, stride: int, first: int = 0) -> QuantConv:
    """A shortcut of option A as the core runs it: a 1x1 convolution with fixed weights.

    Every `stride`-th pixel of the input channels, from channel `first` on; the others are zero.
    """
    conv = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False)
    nn.init.zeros_(conv.weight)
    with torch.no_grad():
        conv.weight[first : first + in_channels, :, 0, 0] = torch.eye(in_channels)
    bn = nn.BatchNorm2d(channels, eps=0.0)  # fresh: mean 0, variance 1
    return QuantConv(conv, bn).requires_grad_(False)


class QuantLinear(_QuantizedLayer):
    """A fully connected layer."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.weight, linear.bias)

    def forward(self, x: Tensor, in_scale: Tensor) -> Tensor:
        """Float [N, Cin] -> float [N, C], not requantised."""
        weight, bias = self.quantized(in_scale)
        return F.linear(x, weight, bias)


def sigmoid_score(z: Tensor) -> Tensor:
    """Pre-activation -> what a SIGMOID gate makes of it: z in steps of 1/16, the score of 1/128.

    The gradient is the sigmoid's.
    """
    steps = torch.clamp(torch.round(z * SIGMOID_STEPS), -128, 127) / SIGMOID_STEPS
    strict = torch.round(torch.sigmoid(steps) * SCORE_ONE) / SCORE_ONE
    soft = torch.sigmoid(z)
    return strict.detach() + (soft - soft.detach())


def quantize_score(z: Tensor, training: bool) -> Tensor:
    """Gate pre-activation -> strict score on the grid 0/128 .. 128/128 (UQ1.7).

    In training the value is the strict one, but the gradient is leaky ReLU-1's, so that a
    closed gate can still reopen.
    """
    strict = torch.round(relu1(z) * SCORE_ONE) / SCORE_ONE
    if not training:
        return strict
    soft = leaky_relu1(z)
    return strict.detach() + (soft - soft.detach())

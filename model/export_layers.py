"""Quantised layers as ONNX QDQ nodes: what every network's export is made of."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from penstock.model.onnx_graph import GraphBuilder
from penstock.model.quantizers import (
    SCORE_ONE,
    ActivationQuantizer,
    QuantConv,
    QuantLinear,
)
from penstock.model.split import Links


def unit_score(graph: GraphBuilder, score: str, name: str, outputs: int) -> str:
    """A score in [0, 1] quantised as the core has it, uint8 at 1/128, as [N, outputs, 1, 1]."""
    unit = graph.constant("score_scale", np.array(1 / SCORE_ONE, dtype=np.float32))
    return as_map(graph, graph.quantize(score, f"{name}.score", unit, signed=False), name, outputs)


def as_map(graph: GraphBuilder, score: str, name: str, outputs: int) -> str:
    """[N, outputs] -> [N, outputs, 1, 1], to be multiplied with a map."""
    shape = graph.constant(f"{name}.shape", np.array([-1, outputs, 1, 1], dtype=np.int64))
    return graph.node("Reshape", f"{name}.reshape", [score, shape])


def pool(graph: GraphBuilder, name: str, quantizer: ActivationQuantizer, x: str) -> str:
    """GlobalAveragePool -> uint8 -> Flatten."""
    y = graph.node("GlobalAveragePool", f"{name}.pool", [x])
    y = graph.quantize(y, f"{name}.pool", scale_of(graph, f"{name}.pool", quantizer), signed=False)
    return graph.node("Flatten", f"{name}.flatten", [y], axis=1)


def conv(
    graph: GraphBuilder,
    name: str,
    layer: QuantConv,
    x: str,
    in_scale: Tensor,
    links: Links | None = None,
) -> str:
    """A convolution; `links`: of some of its channels alone."""
    inputs = [x, *parameters(graph, name, layer, in_scale, links)]
    return graph.node(
        "Conv",
        name,
        inputs,
        kernel_shape=list(layer.weight.shape[2:]),
        strides=list(layer.stride),
        pads=[*layer.padding, *layer.padding],
        **({} if set(layer.dilation) == {1} else {"dilations": list(layer.dilation)}),
        group=layer.groups if links is None else links.groups,
    )


def dense(graph: GraphBuilder, name: str, layer: QuantLinear, x: str, in_scale: Tensor) -> str:
    return graph.node("Gemm", name, [x, *parameters(graph, name, layer, in_scale)], transB=1)


def parameters(
    graph: GraphBuilder,
    name: str,
    layer: QuantConv | QuantLinear,
    in_scale: Tensor,
    links: Links | None = None,
) -> tuple[str, str]:
    """The dequantised weight and bias of a layer, or of what `links` name of it."""
    weight, bias, scale = (t.cpu() for t in layer.integers(in_scale))
    if links is not None:
        weight = weight[links.outputs][:, links.inputs]
        bias, scale = bias[links.outputs], scale[links.outputs]
    return (
        graph.weights(name, weight.numpy(), scale.numpy()),
        graph.bias(name, bias.numpy(), (in_scale.cpu() * scale).numpy()),
    )


def scale_of(graph: GraphBuilder, name: str, quantizer: ActivationQuantizer) -> str:
    return graph.constant(f"{name}.scale", quantizer.scale.detach().cpu().numpy())

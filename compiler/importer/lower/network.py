"""Lowering: one walk over the network, one handler an operator."""

from collections.abc import Callable

from penstock.compiler import ir
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.curves.functions import FUNCTIONS
from penstock.compiler.importer.logits import logit_bits
from penstock.compiler.importer.lower.concat import lower_concat
from penstock.compiler.importer.lower.curves import lower_function
from penstock.compiler.importer.lower.elementwise import lower_add, lower_clip, lower_mul
from penstock.compiler.importer.lower.gates import (
    lower_cast,
    lower_greater,
    lower_sigmoid,
    lower_sign,
)
from penstock.compiler.importer.lower.layers.batch_norm import lower_batch_norm
from penstock.compiler.importer.lower.layers.linear import lower_conv, lower_gemm
from penstock.compiler.importer.lower.layers.map_pool import lower_average_pool, lower_max_pool
from penstock.compiler.importer.lower.layers.pooling import lower_mean, lower_transpose, lower_view
from penstock.compiler.importer.lower.layers.upsampling import lower_depth_to_space, lower_resize
from penstock.compiler.importer.lower.logits import lower_logits
from penstock.compiler.importer.lower.quantize import lower_dequantize, lower_quantize
from penstock.compiler.importer.lower.rows import lower_gather, lower_slice, lower_split
from penstock.compiler.importer.lower.values.frames import framed
from penstock.compiler.importer.lower.values.shapes import check_term
from penstock.compiler.importer.lower.values.stored import settle
from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.importer.terms import Linear, Pending, Stored, Term

Handler = Callable[[Builder, OpNode], Term]


def lower(net: Net) -> ir.Graph:
    """The integer graph of a quantised network.

    Raises:
        CompileError: naming the first node that has no exact integer form.
    """
    if not any(node.op in ("QuantizeLinear", "DequantizeLinear") for node in net.nodes):
        raise CompileError(
            "the network is not quantised: it has no QuantizeLinear node",
            hint="quantise it while training, or give --calibration images.npy",
        )
    builder = Builder(net)
    for node in net.nodes:
        builder.terms[node.output] = HANDLERS[node.op](builder, node)
        for name in node.outputs:
            if name in builder.terms:
                check_term(builder, node, name, builder.terms[name])
    output = _output(builder, net.output)
    exits = tuple(
        ir.Exit(logits=_output(builder, name), threshold=threshold)
        for name, threshold in zip(net.exits, net.thresholds, strict=True)
    )
    return ir.Graph(
        name=net.name,
        input=net.input,
        output=output,
        others=tuple(_output(builder, name) for name in net.others),
        values=builder.values,
        nodes=tuple(builder.nodes.values()),
        metadata=dict(net.metadata),
        exits=exits,
        rounding=tuple(builder.rounding.values()),
        mirrored=net.mirrored,
        integer_input=net.types[net.input] in ("int8", "uint8"),
    )


def _output(builder: Builder, output: str) -> str:
    """The value of one of the network's outputs."""
    net = builder.net
    term = builder.term(output)
    last = next((node for node in net.nodes if output in node.outputs), None)
    if last is None:
        raise CompileError(f"the output '{output}' is not computed")
    if isinstance(term, Linear) and term.dense and logit_bits(net.metadata) != 8:
        return lower_logits(builder, last, term, output)
    if not isinstance(term, Stored | Pending):
        raise last.error(
            f"the network's output '{output}' is not quantised",
            "put QuantizeLinear and DequantizeLinear after the last layer",
        )
    value = settle(builder, last, term, output, zero=True).value
    if value not in builder.nodes:
        raise last.error("the network computes nothing")
    if isinstance(builder.nodes[value], ir.Concat):  # its parts lie where others need them
        return framed(builder, last, value, None, f"{value}.stored").value
    return value


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(FUNCTIONS, lower_function),
    "Add": lower_add,
    "AveragePool": lower_average_pool,
    "BatchNormalization": lower_batch_norm,
    "Cast": lower_cast,
    "Clip": lower_clip,
    "Concat": lower_concat,
    "Conv": lower_conv,
    "DepthToSpace": lower_depth_to_space,
    "DequantizeLinear": lower_dequantize,
    "Flatten": lower_view,
    "Gather": lower_gather,
    "Gemm": lower_gemm,
    "GlobalAveragePool": lower_mean,
    "Greater": lower_greater,
    "GreaterOrEqual": lower_greater,
    "MatMul": lower_gemm,
    "Max": lower_clip,
    "MaxPool": lower_max_pool,
    "Min": lower_clip,
    "Mul": lower_mul,
    "QuantizeLinear": lower_quantize,
    "ReduceMean": lower_mean,
    "Relu": lower_clip,
    "Resize": lower_resize,
    "Reshape": lower_view,
    "Sigmoid": lower_sigmoid,
    "Sign": lower_sign,
    "Slice": lower_slice,
    "Split": lower_split,
    "Squeeze": lower_view,
    "Transpose": lower_transpose,
    "Unsqueeze": lower_view,
    "Upsample": lower_resize,
}

"""The ir.Conv of an accumulator."""

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.net import OpNode
from penstock.compiler.importer.terms import Linear


def make_conv(
    builder: Builder,
    node: OpNode,
    term: Linear,
    scale: float,
    clamp: tuple[int, int],
    residual: str | None = None,
) -> ir.Conv:
    """A convolution requantised to `scale`, writing the output of quantiser `node`."""
    fold = None
    if term.score is not None:
        fold = ir.Fold(scores=term.score, per_channel=term.per_channel)
    return ir.Conv(
        name=term.node.label,
        input=term.input,
        output=node.output,
        weight=term.weight,
        bias=term.bias,
        requantize=builder.requantize(term.node, term.scale / scale),
        stride=term.stride,
        clamp=clamp,
        fold=fold,
        residual=residual,
        groups=term.groups,
        order=term.order,
    )

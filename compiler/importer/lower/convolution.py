"""The ir.Conv of an accumulator."""

from penstock.compiler import ir
from penstock.compiler.importer.builder import Builder
from penstock.compiler.importer.lower.bias import fit
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
    fitted = fit(builder, term, scale)
    builder.note_rounding(term.node, fitted.error, fitted.finer)
    return ir.Conv(
        name=term.node.label,
        input=term.input,
        output=node.output,
        weight=fitted.weight,
        bias=fitted.bias,
        requantize=builder.requantize(term.node, fitted.scale / scale),
        stride=term.stride,
        clamp=clamp,
        fold=fold,
        residual=residual,
        groups=term.groups,
        order=term.order,
        pixels=term.pixels,
    )

"""Refuse an input that is no image, once what the host makes of it is known."""

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.net import Net


def check_image(net: Net) -> Net:
    """The network itself, if the core is given N x C x H x W.

    Raises:
        CompileError: another number of dimensions.
    """
    shape = net.shapes.get(net.input, ())
    if len(shape) == 4:
        return net
    text = ", ".join(map(str, ("N", *shape[1:])))
    raise CompileError(
        f"input '{net.input}' has shape ({text}), N x C x H x W is expected",
        hint="vectors (N x K) are read by dense layers alone, one behind the other",
    )

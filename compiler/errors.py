"""Errors of the compiler: they name the node, the reason and what to do about it."""

from penstock.program.base.errors import PenstockError


class CompileError(PenstockError):
    """A network the compiler refuses.  `str` is one line: `node 'x' (Op): reason; hint`.

    Args:
        reason: what is wrong, without a full stop.
        node: name of the ONNX node ("" if the error is about the whole file).
        op: operator type of that node.
        hint: what to do about it ("" if there is nothing to say).
    """

    def __init__(self, reason: str, *, node: str = "", op: str = "", hint: str = "") -> None:
        kind = f" ({op})" if op else ""
        prefix = f"node '{node}'{kind}: " if node else ""
        super().__init__(f"{prefix}{reason}", hint=hint)
        self.reason = reason
        self.node = node
        self.op = op

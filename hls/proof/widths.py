"""Bits that a value really has: a synthesiser drops those that are always zero or never used.

Forward, the bits that can be other than zero; backward, the bits that anyone uses.
"""

from penstock.hls.proof.graph import Graph, Op, Operand

#: What does not mix bits downwards: bit i of the result depends on bits 0 .. i of the operands.
_UPWARDS = ("add", "sub", "mul")
_BITWISE = ("and", "or", "xor", "phi", "select", "freeze")
_ROUNDS = 4


class Widths:
    """The values of one function."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._bits = {name: op.width for name, op in graph.ops.items()}
        order = [op for name in graph.order for op in graph.blocks[name].ops]
        for _ in range(_ROUNDS):
            for op in order:
                self._bits[op.name] = min(self._bits[op.name], self._forward(op))
        self._used = dict.fromkeys(graph.ops, 0)
        for _ in range(_ROUNDS):
            for op in reversed(order):
                self._use(op)

    def of(self, op: Op) -> int:
        """Bits of an operation's result, or of what it compares."""
        if op.opcode == "icmp":
            return max(1, *(self._known(operand) for operand in op.operands))
        return max(1, min(self._bits[op.name], self._used[op.name]))

    def _known(self, value: Operand) -> int:
        if isinstance(value, int):
            return value.bit_length() if value >= 0 else 64
        return self._bits.get(value, 64) if value else 0

    def _forward(self, op: Op) -> int:
        known = [self._known(operand) for operand in op.operands]
        second = op.operands[1] if len(op.operands) > 1 else None
        if op.opcode in ("zext", "trunc", "freeze"):
            return known[0]
        if op.opcode == "add" and not (isinstance(second, int) and second < 0):
            return max(known) + 1
        if op.opcode == "mul":
            return sum(known)
        if op.opcode == "and":
            return min(known)
        if op.opcode in ("or", "xor", "phi"):
            return max(known)
        if op.opcode == "select":
            return max(known[1:])
        if op.opcode in ("shl", "lshr") and isinstance(second, int):
            return max(0, known[0] + (second if op.opcode == "shl" else -second))
        if op.opcode == "lshr":
            return known[0]
        if "@llvm.umin." in op.line:
            return min(known[:2])
        return max(known[:2]) if "@llvm.umax." in op.line else op.width

    def _use(self, op: Op) -> None:
        """What an operation uses of its operands."""
        own = min(self._used[op.name], op.width)
        second = op.operands[1] if len(op.operands) > 1 else None
        for at, operand in enumerate(op.operands):
            used = 64
            if op.opcode in (*_UPWARDS, *_BITWISE, "zext", "trunc") and (op.opcode, at) != (
                "select",
                0,
            ):
                used = own
            if op.opcode == "and" and isinstance(second, int) and second >= 0:
                used = min(used, second.bit_length())
            if op.opcode == "shl" and isinstance(second, int):
                used = max(0, own - second)
            if op.opcode == "lshr" and isinstance(second, int):
                used = own + second
            if op.opcode == "store" and at == 0:
                used = op.width
            if isinstance(operand, str) and operand in self._used:
                self._used[operand] = max(self._used[operand], used)

"""Delays of operators on an xc7z020-1, in ns, and what of a clock period a loop may use.

They are those of a public operator library that was measured on this part, and of its data sheet
(block RAM); a synthesiser's own differ by some tenths.  A tool for this part plans with 27 % of the
period as margin (Vitis HLS's default clock uncertainty), so 0.73 of it is left.
"""

from penstock.hls.proof.graph import Op
from penstock.program.base.arith import ceil_div

#: Share of the clock period that operators may take.
USABLE = 0.73

#: By width in bits, the widest that is no smaller.
ADD = {1: 0.9, 8: 1.88, 16: 2.18, 32: 2.59, 64: 3.4}
COMPARE = {1: 0.9, 8: 1.8, 16: 2.05, 32: 2.35, 64: 2.9}
MULTIPLY = {18: 4.5, 64: 8.4}
#: A level of logic; of one bit, where several share a LUT.
LOGIC, LOGIC_BIT = 0.9, 0.6
#: A multiplexer of up to four inputs.
MUX = 1.0
#: A shift by a variable.
SHIFT = 2.2
#: The condition under which something happens: one more LUT.
ENABLE = 0.6
#: From clock to output of a block RAM without its output register.
RAM_OUT = 2.45

_WIRES = (
    "zext",
    "sext",
    "trunc",
    "freeze",
    "bitcast",
    "getelementptr",
    "alloca",
    "ptrtoint",
    "inttoptr",
)
_LOGIC = ("and", "or", "xor")


def by_width(table: dict[int, float], width: int) -> float:
    """The delay of the narrowest entry that is wide enough."""
    return next((delay for bits, delay in table.items() if width <= bits), list(table.values())[-1])


def mux(inputs: int) -> float:
    """A multiplexer, four inputs a level."""
    levels = 0
    while inputs > 1:
        inputs, levels = ceil_div(inputs, 4), levels + 1
    return MUX * levels


def delay(op: Op, width: int) -> float:
    """Of an operation on so many bits that is no access to memory, in ns."""
    if op.opcode in _WIRES or op.opcode in ("br", "switch", "load", "store", "ret"):
        return 0.0
    if op.opcode in ("add", "sub"):
        return by_width(ADD, width)
    if op.opcode == "icmp":
        return by_width(COMPARE, width)
    if op.opcode == "mul":
        return by_width(MULTIPLY, width)
    if op.opcode in _LOGIC:
        return LOGIC_BIT if width == 1 else 0.0 if _is_mask(op) else LOGIC
    if op.opcode in ("shl", "lshr", "ashr"):
        return 0.0 if isinstance(op.operands[1], int) else SHIFT
    if op.opcode in ("phi", "select") and width == 1:
        return LOGIC_BIT
    if op.opcode == "phi":
        return mux(len(set(op.operands)))
    return _call(op, width) if op.opcode == "call" else MUX


def _is_mask(op: Op) -> bool:
    """An AND or OR with a constant is wires; XOR with one is part of the next LUT."""
    return any(isinstance(operand, int) for operand in op.operands)


def _call(op: Op, width: int) -> float:
    if any(f"@llvm.{name}." in op.line for name in ("umin", "umax", "smin", "smax")):
        return by_width(COMPARE, width) + MUX
    if any(f"@llvm.{name}." in op.line for name in ("fshl", "fshr")):
        return 0.0 if isinstance(op.operands[2], int) else SHIFT
    return by_width(ADD, width) if "@llvm.abs." in op.line else 0.0

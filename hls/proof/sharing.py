"""Which memory calls share: two that share none, in one block, are begun together."""

from typing import Any

from penstock.hls.proof.graph import Graph, Op
from penstock.hls.proof.linear import Values
from penstock.hls.proof.types import Types

#: Calls that run side by side, by name of the function: of them, the cycle model counts the longer.
SIDE_BY_SIDE = (("prepare_ahead", "execute"), ("run_map", "run_beside"))


class Calls:
    """The functions of a module as written, and what each writes through its arguments."""

    def __init__(self, module: Any) -> None:
        types = Types(module)
        functions = [function for function in module.functions if not function.is_declaration]
        self.graphs = {function.name: Graph(function) for function in functions}
        self.values = {name: Values(graph, types) for name, graph in self.graphs.items()}
        self._arguments = {f.name: [argument.name for argument in f.arguments] for f in functions}
        self._callees = {
            name: {op.name: _callee(op, self.graphs) for op in graph.ops.values()}
            for name, graph in self.graphs.items()
        }

    def faults(self) -> list[str]:
        """Pairs that do not run side by side, with the reason."""
        found = []
        for pair in SIDE_BY_SIDE:
            calls = [self._calls(name) for name in pair]
            together = [(a, b) for a in calls[0] for b in calls[1] if a[0] == b[0]]
            together = [(a, b) for a, b in together if a[1].block == b[1].block]
            if not together:
                found.append(f"{pair[0]} and {pair[1]} are not called in one block")
            for (caller, one), (_, other) in together:
                shared = self._touched(caller, one).items() & self._touched(caller, other).items()
                names = {name for name, _ in shared}
                names |= {
                    name
                    for name, writes in self._touched(caller, one).items()
                    if self._touched(caller, other).get(name, writes) != writes
                }
                written = sorted(
                    name
                    for name in names
                    if self._touched(caller, one)[name] or self._touched(caller, other)[name]
                )
                if written:
                    found.append(f"{pair[0]} and {pair[1]} share {', '.join(written)}")
        return found

    def _calls(self, name: str) -> list[tuple[str, Op]]:
        """(caller, call) of every call of a function."""
        return [
            (caller, self.graphs[caller].ops[op])
            for caller, callees in self._callees.items()
            for op, callee in callees.items()
            if callee and f"{len(name)}{name}" in callee
        ]

    def _touched(self, caller: str, call: Op) -> dict[str, bool]:
        """Variables that a call is given -> whether it writes them."""
        callee = self._callees[caller][call.name]
        assert callee
        found: dict[str, bool] = {}
        for at, operand in enumerate(call.operands[: len(self._arguments[callee])]):
            base = self.values[caller].address(operand).base
            if self._is_memory(caller, base):
                found[base] = found.get(base, False) or self._writes(callee, at)
        return found

    def _is_memory(self, function: str, base: str) -> bool:
        op = self.graphs[function].ops.get(base)
        return op.opcode == "alloca" if op else base in self._pointers(function)

    def _pointers(self, function: str) -> set[str]:
        """Arguments that something is read or written through, here or further down."""
        graph, values = self.graphs[function], self.values[function]
        found = set()
        for op in graph.ops.values():
            if op.opcode in ("load", "store"):
                found.add(values.address(op.operands[op.opcode == "store"]).base)
            elif op.opcode == "call":
                found |= {values.address(o).base for o in op.operands if isinstance(o, str)}
        return found & set(self._arguments[function])

    def _writes(self, function: str, at: int) -> bool:
        """Something is written through an argument."""
        name = self._arguments[function][at]
        values = self.values[function]
        for op in self.graphs[function].ops.values():
            if op.opcode == "store" and values.address(op.operands[1]).base == name:
                return True
            if op.opcode != "call":
                continue
            given = [i for i, o in enumerate(op.operands) if values.address(o).base == name]
            callee = self._callees[function][op.name]
            if callee and any(self._writes(callee, i) for i in given):
                return True
            if not callee and 0 in given and "@llvm.mem" in op.line:
                return True
        return False


def _callee(op: Op, known: dict[str, Graph]) -> str | None:
    """The function of a call, if it is one of the module's."""
    if op.opcode != "call" or "@" not in op.line:
        return None
    name = op.line.partition("@")[2].partition("(")[0].strip('"')
    return name if name in known else None

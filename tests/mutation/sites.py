"""Where the SystemVerilog of the core can be mutated, and to what.

Sources are parsed by slang (pyslang), so a mutant is an exact range of bytes.  Each mutant is a
choice made while the simulation runs (schemata.py); what is constant before it runs - parameters,
types, dimensions, part selects, headers of loops, case labels - is no site, nor are assertions.
Names tell constants from signals: constants of the core begin with a capital, signals do not;
variables of loops are constants too.
"""

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pyslang.parsing import Token
from pyslang.syntax import SyntaxKind as K
from pyslang.syntax import SyntaxTree

from tests.quality.coverage import assertion_lines

#: Assertions.
CHECKS = {K.ConcurrentAssertionMember, K.AssertPropertyStatement}

#: Nodes without a site in them: constant before the run, declarations, or checks.
OPAQUE = {
    K.ParameterDeclarationStatement,
    K.ParameterPortList,
    K.ParameterValueAssignment,
    K.TypedefDeclaration,
    K.DataDeclaration,
    K.VariableDimension,
    K.AnsiPortList,
    K.FunctionPrototype,
    K.EventControlWithExpression,
    K.SimpleRangeSelect,
    K.AscendingRangeSelect,
    K.DescendingRangeSelect,
    *CHECKS,
}

#: Operators: the node, the operator in its place, what the report calls it.
BINARY = {
    K.EqualityExpression: ("!=", "comparison"),
    K.InequalityExpression: ("==", "comparison"),
    K.LessThanExpression: ("<=", "comparison"),
    K.LessThanEqualExpression: ("<", "comparison"),
    K.GreaterThanExpression: (">=", "comparison"),
    K.GreaterThanEqualExpression: (">", "comparison"),
    K.LogicalAndExpression: ("||", "logic"),
    K.LogicalOrExpression: ("&&", "logic"),
    K.BinaryAndExpression: ("|", "logic"),
    K.BinaryOrExpression: ("&", "logic"),
    K.BinaryXorExpression: ("~^", "logic"),
    K.AddExpression: ("-", "arithmetic"),
    K.SubtractExpression: ("+", "arithmetic"),
    K.MultiplyExpression: ("+", "arithmetic"),
    K.LogicalShiftLeftExpression: (">>", "arithmetic"),
    K.LogicalShiftRightExpression: ("<<", "arithmetic"),
    K.ArithmeticShiftRightExpression: (">>", "arithmetic"),
}
UNARY = {
    K.UnaryLogicalNotExpression: ("", "logic"),
    K.UnaryBitwiseNotExpression: ("", "logic"),
    K.UnaryBitwiseAndExpression: ("|", "logic"),
    K.UnaryBitwiseOrExpression: ("&", "logic"),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of one place.

    Attributes:
        key: what names it: unit, old and new text (of a constant, its line as well), "#2" for the
            second such place of the unit.
        unit: the module's file without its ending.
        line: of the source, from 1.
        start, end: bytes of the source that are replaced.
        old, new: what stands there, and what instead, on one line.
        kind: comparison, logic, arithmetic, ternary, condition, constant, case or assignment.
        statement: the place is a statement, which is left out (`new` is empty), not an expression.
    """

    key: str
    unit: str
    line: int
    start: int
    end: int
    old: str
    new: str
    kind: str
    statement: bool


def mutants_of(path: Path) -> list[Mutant]:
    """Every mutant of one source file, in the order of the text."""
    source = path.read_bytes()
    tree = SyntaxTree.fromText(source.decode(), path.name)
    errors = [d for d in tree.diagnostics if d.isError()]
    if errors:
        raise ValueError(f"{path}: slang cannot parse it ({len(errors)} errors)")
    skipped = assertion_lines(source.decode())
    found = _Finder(path.stem, source, tree.root).walk(tree.root)
    found = [mutant for mutant in found if mutant.line not in skipped]
    ordered = sorted(found, key=lambda m: (m.start, -m.end))
    seen: Counter[str] = Counter()
    numbered = []
    for mutant in ordered:
        seen[mutant.key] += 1
        count = seen[mutant.key]
        key = mutant.key if count == 1 else f"{mutant.key} #{count}"
        numbered.append(dataclasses.replace(mutant, key=key))
    return numbered


def sample(mutants: Sequence[Mutant], count: int, seed: int, least: int = 2) -> list[Mutant]:
    """`count` of the mutants: of every unit `least`, the rest in proportion to its sites.

    Fewer than that are drawn from all units alike.  A mutant's place in the draw follows from its
    key and the seed alone, so a change elsewhere in the sources hardly changes who is drawn.
    """
    units: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        units.setdefault(mutant.unit, []).append(mutant)
    if count < least * len(units):
        drawn = sorted(mutants, key=lambda m: _rank(m.key, seed))[:count]
        return sorted(drawn, key=lambda m: (m.unit, m.start, -m.end))
    quota = {unit: min(least, len(found)) for unit, found in units.items()}
    rest = max(count - sum(quota.values()), 0)
    spare = {unit: len(found) - quota[unit] for unit, found in units.items()}
    total = max(sum(spare.values()), 1)
    for unit in units:
        quota[unit] += min(rest * spare[unit] // total, spare[unit])
    # What rounding left over goes to the largest remainders.
    by_remainder = sorted(units, key=lambda unit: -(rest * spare[unit] % total))
    for unit in by_remainder:
        if sum(quota.values()) >= count:
            break
        quota[unit] += quota[unit] < len(units[unit])
    chosen = []
    for unit, found in units.items():
        chosen += sorted(found, key=lambda m: _rank(m.key, seed))[: quota[unit]]
    return sorted(chosen, key=lambda m: (m.unit, m.start, -m.end))


def _rank(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{key}".encode()).digest()


def plain(node: Any) -> str:
    """The text of a node on one line, without comments."""
    words = []
    for token in tokens(node):
        words.append((" " if words and list(token.trivia) else "") + token.rawText)
    return "".join(words)


def tokens(node: Any) -> Iterator[Token]:
    """The tokens under a node, from left to right."""
    if isinstance(node, Token):
        yield node
        return
    for child in node:
        yield from tokens(child)


class _Finder:
    """Walks the tree of one file."""

    def __init__(self, unit: str, source: bytes, root: Any) -> None:
        self.unit, self.source = unit, source
        self.loop_names: set[str] = set()
        self.enums: list[set[str]] = []
        self.constant_functions: set[str] = set()
        self._declarations(root, opaque=False)

    def _declarations(self, node: Any, *, opaque: bool) -> None:
        """Variables of loops, enumerations, and functions that are called for a constant."""
        if isinstance(node, Token):
            return
        if node.kind == K.ForVariableDeclaration:
            self.loop_names.add(plain(node.declarator.name))
        elif node.kind == K.LoopGenerate:
            self.loop_names.add(node.identifier.rawText)
        elif node.kind == K.EnumType:
            names = (plain(member) for member in node.members)
            self.enums.append({name.partition(" ")[0] for name in names if name != ","})
        elif node.kind == K.InvocationExpression and opaque:
            self.constant_functions.add(plain(node.left))
        opaque = opaque or node.kind in OPAQUE - CHECKS
        for child in node:
            self._declarations(child, opaque=opaque)

    # ---- the walk
    def walk(self, node: Any, *, clocked: bool = False) -> Iterator[Mutant]:
        """Mutants of the node itself, then of what is under it."""
        if isinstance(node, Token) or node.kind in OPAQUE:
            return
        if node.kind == K.FunctionDeclaration:
            if plain(node.prototype.name) in self.constant_functions:
                return
        clocked = clocked or node.kind == K.AlwaysFFBlock
        yield from self._here(node, clocked=clocked)
        for child in self._parts(node):
            yield from self.walk(child, clocked=clocked)

    def _parts(self, node: Any) -> list[Any]:
        """The children that are not constant before the run."""
        if node.kind in (K.AssignmentExpression, K.NonblockingAssignmentExpression):
            return [node.right]
        if node.kind in (K.ForLoopStatement, K.CaseStatement, K.LoopGenerate):
            items = node.items if node.kind == K.CaseStatement else None
            return list(items) if items is not None else [_body(node)]
        if node.kind == K.StandardCaseItem:
            return [node.clause]
        if node.kind == K.DefaultCaseItem and self._covered(node):
            return []
        if node.kind == K.IfGenerate:
            return [node.block, *([node.elseClause] if node.elseClause else [])]
        if node.kind in (K.CastExpression, K.MultipleConcatenationExpression):
            return [] if self.constant(node) else [list(node)[-1 if _is_cast(node) else -2]]
        if node.kind in (K.AssignmentPatternItem,):
            return [node.expr]
        if node.kind == K.BitSelect and self.constant(node):
            return []
        if node.kind == K.InvocationExpression:
            return [] if plain(node.left) == "$clog2" else [node.arguments]
        if node.kind in BINARY and self.constant(node):
            return []
        if node.kind == K.IntegerVectorExpression:
            return []
        return list(node)

    def _here(self, node: Any, *, clocked: bool) -> Iterator[Mutant]:
        kind = node.kind
        if kind in BINARY and not self.constant(node):
            operator, name = BINARY[kind]
            yield self._mutant(node, f"{_held(node.left)} {operator} {_held(node.right)}", name)
        elif kind in UNARY and not self.constant(node):
            operator, name = UNARY[kind]
            yield self._mutant(node, operator + plain(node.operand), name)
        elif kind == K.ConditionalExpression and not self.constant(node.predicate):
            swapped = f"{plain(node.predicate)} ? {_held(node.right)} : {_held(node.left)}"
            yield self._mutant(node, swapped, "ternary")
        elif kind == K.ConditionalStatement and not self.constant(node.predicate):
            for value in ("1'b0", "1'b1"):
                yield self._mutant(node.predicate, value, "condition")
        elif kind == K.IntegerVectorExpression:
            yield self._mutant(node, _next_literal(plain(node)), "constant")
        elif kind == K.UnbasedUnsizedLiteralExpression:
            yield self._mutant(node, "'1" if plain(node) == "'0" else "'0", "constant")
        elif kind == K.CastExpression and self.constant(node):
            size, _, inner = plain(node).partition("'")
            yield self._mutant(node, f"{size}'({inner} + 1)", "constant")
        elif kind == K.StandardCaseItem and node.clause.kind != K.EmptyStatement:
            if not (clocked and node.clause.kind == K.ExpressionStatement):  # as an assignment
                yield self._mutant(node.clause, "", "case")
        elif kind == K.ExpressionStatement and clocked:
            if node.expr.kind == K.NonblockingAssignmentExpression:
                yield self._mutant(node, "", "assignment")

    def _mutant(self, node: Any, new: str, kind: str) -> Mutant:
        first, last = node.getFirstToken(), node.getLastToken()
        start = first.location.offset
        old = plain(node)
        statement = kind in ("case", "assignment")
        where = f" `{self._line(start)}`" if kind == "constant" else ""
        return Mutant(
            key=f"{self.unit}:{where} {old} -> {new or 'nothing'}",
            unit=self.unit,
            line=self.source.count(b"\n", 0, start) + 1,
            start=start,
            end=last.location.offset + len(last.rawText.encode()),
            old=old,
            new=new,
            kind=kind,
            statement=statement,
        )

    def _line(self, at: int) -> str:
        """The line of a byte, without its comment."""
        line = self.source[self.source.rfind(b"\n", 0, at) + 1 :].partition(b"\n")[0].decode()
        return " ".join(line.partition("//")[0].split())

    def _covered(self, node: Any) -> bool:
        """Whether a `default` cannot be reached: the case names every value of an enumeration."""
        labels = {
            plain(label)
            for item in node.parent.items
            if item.kind == K.StandardCaseItem
            for label in item.expressions
        }
        return any(members <= labels for members in self.enums)

    def constant(self, node: Any) -> bool:
        """Whether an expression is made of constants alone."""
        for token in tokens(node):
            name = token.rawText
            if name.startswith("$") and name not in ("$clog2", "$signed", "$unsigned"):
                return False
            if re.match(r"[a-z_]", name) and name not in self.loop_names | {"signed", "unsigned"}:
                return False
        return True


def _held(node: Any) -> str:
    """An operand's text, in parentheses if another operator beside it could tear it apart."""
    loose = node.kind in BINARY or node.kind == K.ConditionalExpression
    return f"({plain(node)})" if loose else plain(node)


def _is_cast(node: Any) -> bool:
    return bool(node.kind == K.CastExpression)


def _body(node: Any) -> Any:
    return node.statement if node.kind == K.ForLoopStatement else node.block


def _next_literal(text: str) -> str:
    """A sized literal, one more; where that does not fit its bits, one less."""
    match = re.fullmatch(r"(\d+)'(s?)([bdh])([0-9a-fA-F_]+)", text.replace(" ", ""))
    if match is None:
        raise ValueError(f"literal {text}: a sized one in binary, decimal or hexadecimal")
    width, signed, base, digits = match.groups()
    value = int(digits.replace("_", ""), {"b": 2, "d": 10, "h": 16}[base])
    limit = 1 << (int(width) - bool(signed))
    changed = value + 1 if value + 1 < limit else value - 1
    return f"{width}'{signed}{base}{changed:{'x' if base == 'h' else base}}"

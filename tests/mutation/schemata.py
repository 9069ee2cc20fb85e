"""Sources that hold every mutant at once; a variable chooses one while the simulation runs.

An expression E with the mutant E' becomes `(ps_mutation::chosen == 17 ? (E') : (E))`, which has E's
type because E' has; a statement becomes `begin if (ps_mutation::chosen != 17) begin ... end end`.
So one build of Verilator serves all mutants.  0 is the core as it is.  The model reads its mutant
from the environment when it is made, so one process can simulate one after the other.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutation.sites import Mutant

#: The variable of the environment that has the mutant's number.
VARIABLE = "PENSTOCK_MUTANT"

PACKAGE = """\
// Which mutant runs; 0: none.
package ps_mutation;
  int chosen;
endpackage
"""

#: Goes into the top module, on the line of its `endmodule`.
CHOICE = (
    f'initial ps_mutation::chosen = $c("(std::getenv(\\"{VARIABLE}\\")'
    f' ? std::atoi(std::getenv(\\"{VARIABLE}\\")) : 0)"); '
)


def schema(source: bytes, numbered: Mapping[int, Mutant]) -> bytes:
    """The text of a file with the choice of each of its mutants in it; lines stay where they are.

    Args:
        source: the file as it is.
        numbered: number -> mutant of this file; places may lie within each other.
    """
    opening: list[tuple[int, int, bytes]] = []  # byte, order there, text
    closing: list[tuple[int, int, bytes]] = []
    for number, mutant in numbered.items():
        before, after = _choice(number, mutant)
        size = mutant.end - mutant.start
        # Outer places open first and close last; of the same place, the lower number is outside.
        opening.append((mutant.start, -size * 2**20 + number, before.encode()))
        closing.append((mutant.end, size * 2**20 - number, after.encode()))
    parts, at = [], 0
    # What ends at a byte closes before what begins there opens.
    events = sorted([(b, 0, o, t) for b, o, t in closing] + [(b, 1, o, t) for b, o, t in opening])
    for byte, _, _, text in events:
        parts += [source[at:byte], text]
        at = byte
    return b"".join([*parts, source[at:]])


def _choice(number: int, mutant: Mutant) -> tuple[str, str]:
    if mutant.statement:
        return f"begin if (ps_mutation::chosen != {number}) begin ", " end end"
    return f"(ps_mutation::chosen == {number} ? ({mutant.new}) : (", "))"


def mutated(source: bytes, mutant: Mutant) -> bytes:
    """The file with this one mutant in the place of what was there (for the formal tasks)."""
    new = mutant.new or ";"
    return source[: mutant.start] + new.encode() + source[mutant.end :]


def write_schemata(
    sources: Sequence[Path], numbered: Mapping[int, Mutant], folder: Path, top: str
) -> list[Path]:
    """Copies of the sources in `folder`, mutants and their choice in them, in a tool's order."""
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / "ps_mutation.sv"
    package.write_text(PACKAGE)
    written = [package]
    for path in sources:
        mine = {number: m for number, m in numbered.items() if m.unit == path.stem}
        text = schema(path.read_bytes(), mine)
        if path.stem == top:
            text = text.replace(b"\nendmodule", b"\n" + CHOICE.encode() + b"endmodule")
        written.append(folder / path.name)
        written[-1].write_bytes(text)
    return written

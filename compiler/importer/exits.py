"""Early exits of an ONNX file: several outputs, and metadata that says what each is.

penstock.exits       names of the outputs in the order of the exits, the network's own last;
                     without it the order in which the file names them
penstock.thresholds  a number for each early exit: the softmax at which an image ends there
"""

from collections.abc import Mapping, Sequence

from penstock.compiler.errors import CompileError
from penstock.program.errors import PenstockError
from penstock.program.exits import exit_bound

EXITS, THRESHOLDS = "exits", "thresholds"


def read_exits(outputs: Sequence[str], metadata: Mapping[str, str]) -> list[str]:
    """The outputs in the order of the exits, the network's own last.

    Raises:
        CompileError: several outputs that are no exits, or metadata that names others.
    """
    if len(outputs) == 1:
        return list(outputs)
    names = ", ".join(outputs)
    if THRESHOLDS not in metadata:
        raise CompileError(
            f"the network has {len(outputs)} outputs ({names})",
            hint="export the logits alone, gate scores are reported anyway; for early exits set "
            "the metadata penstock.thresholds, or give --thresholds",
        )
    order = [name.strip() for name in metadata.get(EXITS, names).split(",")]
    if sorted(order) != sorted(outputs):
        raise CompileError(
            f"penstock.exits names {', '.join(order)}, the outputs are {names}",
            hint="name each output once, the network's own last",
        )
    return order


def read_thresholds(metadata: Mapping[str, str], exits: int) -> tuple[float, ...]:
    """A threshold for each early exit.

    Raises:
        CompileError: another number of them, or one that is none.
    """
    if not exits:
        return ()
    text = metadata[THRESHOLDS]
    try:
        thresholds = tuple(float(part) for part in text.split(","))
        for threshold in thresholds:
            exit_bound(threshold)
    except (ValueError, PenstockError):
        raise CompileError(
            f"penstock.thresholds is '{text}'", hint="numbers >= 0 like 0.9,0.8, one an exit"
        ) from None
    if len(thresholds) != exits:
        raise CompileError(f"{len(thresholds)} exit thresholds for {exits} early exits")
    return thresholds


def threshold_properties(thresholds: Sequence[float]) -> dict[str, str]:
    """The metadata that `read_thresholds` reads."""
    return {THRESHOLDS: ",".join(repr(float(threshold)) for threshold in thresholds)}

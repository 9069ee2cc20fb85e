"""Early exits of an ONNX file: several outputs, and metadata that says what each is.

Without thresholds several outputs are just that: each is computed for every image.

penstock.exits       names of the outputs in the order of the exits, the network's own last;
                     without it the order in which the file names them
penstock.thresholds  a number for each early exit: the softmax at which an image ends there
penstock.outputs     JSON: names of the outputs in the file that a quantised one was made from
"""

import json
from collections.abc import Mapping, Sequence

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.net import Net
from penstock.program.base.errors import PenstockError
from penstock.program.network.exits import exit_bound

EXITS, THRESHOLDS, OUTPUTS = "exits", "thresholds", "outputs"


def read_exits(outputs: Sequence[str], metadata: Mapping[str, str]) -> list[str]:
    """The outputs in the order of the exits, the network's own last; just the first where there are
    no thresholds.

    Raises:
        CompileError: metadata that names other outputs, or exits without thresholds, or no output.
    """
    if not outputs:
        raise CompileError("the network has no output")
    names = ", ".join(outputs)
    if len(outputs) > 1 and EXITS in metadata and THRESHOLDS not in metadata:
        raise CompileError(
            f"the network has {len(outputs)} outputs ({names}) and penstock.exits, no thresholds",
            hint="set the metadata penstock.thresholds, or give --thresholds; without "
            "penstock.exits all outputs are computed for every image",
        )
    if len(outputs) == 1 or THRESHOLDS not in metadata:
        return list(outputs[:1])
    order = [name.strip() for name in metadata.get(EXITS, names).split(",")]
    if sorted(order) != sorted(outputs):
        raise CompileError(
            f"penstock.exits names {', '.join(order)}, the outputs are {names}",
            hint="name each output once, the network's own last",
        )
    return order


def output_names(net: Net) -> tuple[str, ...]:
    """The network's output and the others by the names of the file that it was made from."""
    names = net.results[len(net.exits) :]
    try:
        given = json.loads(net.metadata.get(OUTPUTS, "null"))
    except ValueError:
        return names
    known = isinstance(given, list) and all(isinstance(name, str) for name in given)
    return tuple(given) if known and len(given) == len(names) else names


def named_outputs(net: Net) -> dict[str, str]:
    """The metadata that `output_names` reads."""
    return {OUTPUTS: json.dumps(net.results[len(net.exits) :])}


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

"""Changes of an ONNX file that change nothing: names, order of nodes, operator set, units.

Logits of the changed network must be those of the first, byte for byte; what is refused is
refused as before.
"""

import dataclasses
import random as stdlib
from collections.abc import Callable

import numpy as np
import onnx
from onnx import version_converter

from penstock.program.base.errors import PenstockError
from penstock.sim import golden
from tests.fuzz.onnx.draw import Drawn, draw
from tests.fuzz.onnx.judge import as_real, build

OPSETS = range(13, 22)
#: Images times 2^n, the first weights times 2^-n: exact in floating point, 1e-9 to 1e9.
UNITS = (-30, -20, -7, 7, 20, 30)
LETTERS = "abcxyz_-./:#0189 é"


def rename(drawn: Drawn, random: stdlib.Random) -> Drawn:
    """Every tensor and node under another name; some nodes without one."""
    model = _copy(drawn)
    graph = model.graph
    names = {name for node in graph.node for name in (*node.input, *node.output) if name}
    names |= {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    new: dict[str, str] = {"": ""}
    for name in sorted(names):
        text = "".join(random.choices(LETTERS, k=random.randint(1, 12)))
        new[name] = f"{text}{len(new)}"
    for node in graph.node:
        node.input[:] = [new[name] for name in node.input]
        node.output[:] = [new[name] for name in node.output]
        node.name = "".join(random.choices(LETTERS, k=random.randint(0, 4)))
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new[value.name]
    for entry in model.metadata_props:
        if entry.key == "penstock.exits":
            entry.value = ",".join(new[name] for name in entry.value.split(","))
    return dataclasses.replace(drawn, model=model)


def permute(drawn: Drawn, random: stdlib.Random) -> Drawn:
    """The nodes in another topological order, the initialisers in any."""
    model = _copy(drawn)
    graph = model.graph
    waiting = list(graph.node)
    known = {"", *(tensor.name for tensor in graph.initializer), graph.input[0].name}
    order = []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        node = random.choice(ready)
        waiting.remove(node)
        order.append(node)
        known.update(node.output)
    constants = list(graph.initializer)
    random.shuffle(constants)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(order)
    graph.initializer.extend(constants)
    return dataclasses.replace(drawn, model=model)


def convert(drawn: Drawn, random: stdlib.Random) -> Drawn | None:
    """Another operator set; None if onnx's converter cannot."""
    now = drawn.model.opset_import[0].version
    version = random.choice([each for each in OPSETS if each != now])
    try:
        model = version_converter.convert_version(_copy(drawn), version)
        onnx.checker.check_model(model)
    except Exception:  # it has no exceptions of its own
        return None
    return dataclasses.replace(drawn, model=model)


CHANGES: dict[str, Callable[[Drawn, stdlib.Random], Drawn | None]] = {
    "names": rename,
    "order": permute,
    "operator set": convert,
}


def differences(seed: int, quantized: bool) -> tuple[list[str], int]:
    """What changes the logits of a seed's network: a line each; and how many changes were made.

    Whatever but a PenstockError an engine raises passes through.
    """
    random = stdlib.Random(f"metamorphic {seed}")
    drawn = draw(seed, quantized)
    first, found, made = outcome(drawn), [], 0
    for name, change in CHANGES.items():
        changed = change(drawn, random)
        if changed is not None:
            made += 1
            found += _compare(name, first, outcome(changed))
    unit = random.choice(UNITS)
    pair = [draw(seed, quantized, units=2.0**power) for power in (0, unit)]
    found += _compare(f"images times 2^{unit}", *map(outcome, pair))
    return found, made + 1


def outcome(drawn: Drawn) -> tuple[str, bytes]:
    """("refused", "") and why, or the codes of the logits and which exits were taken."""
    try:
        network = build(drawn)
    except PenstockError as error:
        return str(error), b""
    records = golden.run(network.package, network.quantize_input(as_real(network, drawn.images)))
    decoded = network.decode_output(records)
    codes = np.rint(decoded.logits / np.float32(network.package.meta["output"]["scale"]))
    return "", codes.astype(np.int16).tobytes() + decoded.exits.tobytes()


def _compare(change: str, before: tuple[str, bytes], after: tuple[str, bytes]) -> list[str]:
    if bool(before[0]) != bool(after[0]):
        return [f"{change}: only one is refused: {before[0] or after[0]}"]
    if before[1] == after[1]:
        return []
    codes = [np.frombuffer(each[1], np.int16).astype(int) for each in (before, after)]
    if len(codes[0]) != len(codes[1]):
        return [f"{change}: other logits, {len(codes[0])} and {len(codes[1])} words"]
    return [f"{change}: logits differ, by {np.abs(codes[0] - codes[1]).max()} steps at most"]


def _copy(drawn: Drawn) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(drawn.model)
    return model

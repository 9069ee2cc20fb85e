"""The metadata of a Program (docs/program.md, "Output record")."""

import json
import math
from typing import Any

from penstock.compiler.errors import CompileError
from penstock.compiler.ir import Gate, Graph, Value
from penstock.compiler.plan.allocate import Allocation
from penstock.compiler.plan.steps import GateStep, Plan
from penstock.compiler.plan.weights import round_up
from penstock.program.config import BEAT_BYTES, HwConfig
from penstock.program.counters import COUNTER_BYTES
from penstock.program.pixels import Pixels, pixels_of_properties


def _zero_point(value: Value) -> dict[str, int]:
    """The code that stands for 0, where that is another than 0."""
    return {"zero_point": value.zero_point} if value.zero_point else {}


def metadata(plan: Plan, allocation: Allocation, config: HwConfig) -> dict[str, Any]:
    """Everything but `exits` and `layers`, which `lower` adds descriptor by descriptor."""
    graph = plan.graph
    offset = COUNTER_BYTES + round_up(plan.n_scores, BEAT_BYTES)
    size = math.prod(graph.values[graph.output].shape)
    within = {
        step.list: step.within for step in plan.steps if isinstance(step, GateStep) and step.closes
    }
    kinds = {node.output: node.kind for node in graph.nodes if isinstance(node, Gate)}
    ends: dict[str, Any] = {} if graph.head is None else {"head": graph.head.encode()}
    if graph.tails:
        ends["tails"] = [tail.encode() for tail in graph.tails]
    return ends | {
        "network": graph.name,
        "config": config.name,
        "schedule": plan.schedule,
        "images": plan.images,
        "input": _input(graph),
        "output": _output(graph, offset),
        "record_bytes": offset + plan.images * round_up(size, BEAT_BYTES),
        "gates": [
            {
                "name": name,
                "score": score,
                "count": graph.values[name].shape[0],
                "offset": COUNTER_BYTES + score,
                "within": within.get(name),
                "kind": kinds[name].name.lower(),
            }
            for name, score in plan.scores.items()
        ],
        "memory": [
            {
                "name": block.name,
                "address": allocation.buffers[block.owner] + block.offset,
                "bytes": block.size,
                "steps": [block.first, block.last],
            }
            | ({"row": block.row} if block.row else {})
            for block in allocation.blocks
        ],
    }


def _input(graph: Graph) -> dict[str, Any]:
    """What the host quantises an image to."""
    image = graph.values[graph.input]
    pixels = _pixels(graph, image.shape[0])
    return (
        {
            "name": image.name,
            "shape": list(image.shape),
            "signed": image.signed,
            "scale": image.scale,
            "bytes": round_up(math.prod(image.shape), BEAT_BYTES),
        }
        | ({"integer": True} if graph.integer_input else {})
        | _zero_point(image)
        | ({"pixels": pixels.plain()} if pixels is not None else {})
    )


def _output(graph: Graph, offset: int) -> dict[str, Any]:
    """What the host reads in a record, from `offset` on."""
    result = graph.values[graph.output]
    size = math.prod(result.shape)
    names = _class_names(graph, size)
    return (
        {
            "name": result.name,
            "classes": size,
            "shape": list(result.shape),
            "signed": result.signed,
            "scale": result.scale,
            "offset": offset,
        }
        | _zero_point(result)
        | ({"class_names": names} if names else {})
    )


def _pixels(graph: Graph, channels: int) -> Pixels | None:
    """How photographs become input, if the file says and the core takes them as the file does.

    Raises:
        CompileError: the file's numbers are no convention.
    """
    head = graph.head.source if graph.head else None
    if head is None and graph.values[graph.input].zero_point:
        return None
    if head is not None and (head.type != "float32" or len(head.shape) != 3):
        return None
    try:
        return pixels_of_properties(graph.metadata, channels, head.shape if head else None)
    except ValueError as error:
        raise CompileError(
            f"the file's metadata {error}",
            hint="penstock.full_scale, penstock.mean and penstock.std: a number, one a channel",
        ) from None


def _class_names(graph: Graph, classes: int) -> list[str]:
    """Names of the classes, if the file has them.  Raises CompileError."""
    text = graph.metadata.get("class_names")
    if text is None:
        return []
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CompileError(
            "the file's metadata has no list of texts in penstock.class_names", hint="JSON"
        )
    if len(names) != classes:
        raise CompileError(
            f"the file's metadata has {len(names)} class names, the network {classes} classes",
            hint="a name for each, in the order of the logits",
        )
    return names

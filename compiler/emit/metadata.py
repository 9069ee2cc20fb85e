"""The metadata of a Program (docs/program.md, "Output record")."""

import json
import math

from penstock.compiler.emit.writer import Writer
from penstock.compiler.errors import CompileError
from penstock.compiler.ir import Gate, Graph
from penstock.compiler.plan.allocate import Block
from penstock.compiler.plan.steps import GateStep
from penstock.program.base.arith import round_up
from penstock.program.core.config import BEAT_BYTES
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.network.meta import (
    BlockMeta,
    InputMeta,
    NamedMeta,
    OutputMeta,
    ProgramMeta,
)
from penstock.program.network.pixels import Pixels, pixels_of_properties


def metadata(out: Writer) -> ProgramMeta:
    """All of it, when every descriptor is written."""
    plan, config = out.plan, out.config
    graph = plan.graph
    offset = COUNTER_BYTES + round_up(plan.n_scores, BEAT_BYTES)
    result = graph.values[graph.output]
    outputs, end = _outputs(graph, offset)
    if out.exits:  # their logits lie in the place of the result
        end = max(end, offset + round_up(max(_sizes_of_exits(graph)), BEAT_BYTES))
    within = {
        step.list: step.within for step in plan.steps if isinstance(step, GateStep) and step.closes
    }
    kinds = {node.output: node.kind for node in graph.nodes if isinstance(node, Gate)}
    meta: ProgramMeta = {
        "exits": out.exits,
        "layers": out.layers,
        "network": graph.name,
        "config": config.name,
        "schedule": plan.schedule,
        "images": plan.images,
        "input": _input(graph),
        "output": _output(graph, offset),
        "record_bytes": end + (plan.images - 1) * round_up(result.size, BEAT_BYTES),
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
            if name not in plan.shared_scores
        ],
        "memory": [_block(block, out) for block in out.allocation.blocks],
    }
    if graph.head is not None:
        meta["head"] = graph.head.encode()
    if graph.tails:
        meta["tails"] = [tail.encode() for tail in graph.tails]
    codes = math.prod(result.shape)
    if len(outputs) > 1 or (plan.images == 1 and outputs[0]["shape"] != [codes]):
        meta["outputs"] = outputs
    if config.is_own:
        meta["hardware"] = config.fields()
    return meta


def _sizes_of_exits(graph: Graph) -> list[int]:
    """Bytes of the logits of each early exit."""
    return [graph.values[leave.logits].size for leave in graph.exits]


def _block(block: Block, out: Writer) -> BlockMeta:
    """What holds a part of feature memory, and when: in descriptors of an image."""
    held: BlockMeta = {
        "name": block.name,
        "address": out.allocation.buffers[block.owner] + block.offset,
        "bytes": block.size,
        "steps": [out.starts[block.first], out.starts[block.last + 1] - 1],
    }
    if block.row:
        held["row"] = block.row
    return held


def _input(graph: Graph) -> InputMeta:
    """What the host quantises an image to."""
    image = graph.values[graph.input]
    made: InputMeta = {
        "name": image.name,
        "shape": list(image.shape),
        "signed": image.signed,
        "scale": image.scale,
        "bytes": round_up(math.prod(image.shape), BEAT_BYTES),
    }
    if graph.integer_input:
        made["integer"] = True
    if image.zero_point:
        made["zero_point"] = image.zero_point
    if (pixels := _pixels(graph, image.shape[0])) is not None:
        made["pixels"] = pixels.plain()
    return made


def _output(graph: Graph, offset: int) -> OutputMeta:
    """What the host reads in a record, from `offset` on."""
    result = graph.values[graph.output]
    size = math.prod(result.shape)
    made: OutputMeta = {
        "name": result.name,
        "classes": size,
        "shape": list(result.shape),
        "signed": result.signed,
        "scale": result.scale,
        "offset": offset,
    }
    if result.zero_point:
        made["zero_point"] = result.zero_point
    if result.code_bytes == 2:
        made["bits"] = 16
    if names := _class_names(graph, size):
        made["class_names"] = list(names)
    return made


def _outputs(graph: Graph, offset: int) -> tuple[list[NamedMeta], int]:
    """The network's outputs by their names in the file, where it is known, and where the record
    ends."""
    found: list[NamedMeta] = []
    tails = [*(graph.tails[-1:] or [None]), *(graph.other_tails or [None] * len(graph.others))]
    names = graph.output_names or (graph.tensor(graph.output),)
    shapes = graph.output_shapes
    for index, (name, tail) in enumerate(zip(graph.stored, tails, strict=True)):
        value = graph.values[name]
        size = math.prod(value.shape)
        shape = tail.source.shape if tail else (shapes[index] if shapes else (size,))
        entry: NamedMeta = {
            "name": names[index],
            "classes": size,
            "shape": list(shape),
            "signed": value.signed,
            "scale": value.scale,
            "offset": offset,
        }
        if value.zero_point:
            entry["zero_point"] = value.zero_point
        if value.code_bytes == 2:
            entry["bits"] = 16
        if tail and tail.steps:
            entry["tail"] = tail.encode()
        found.append(entry)
        offset += round_up(value.size, BEAT_BYTES)
    return found, offset


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

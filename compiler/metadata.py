"""The metadata of a Program (docs/program.md, "Output record")."""

import math
from typing import Any

from penstock.compiler.allocate import Allocation
from penstock.compiler.ir import Gate
from penstock.compiler.plan import GateStep, Plan
from penstock.compiler.weights import round_up
from penstock.program.config import BEAT_BYTES, HwConfig
from penstock.program.counters import COUNTER_BYTES


def metadata(plan: Plan, allocation: Allocation, config: HwConfig) -> dict[str, Any]:
    """Everything but `exits` and `layers`, which `lower` adds descriptor by descriptor."""
    graph = plan.graph
    image, result = graph.values[graph.input], graph.values[graph.output]
    offset = COUNTER_BYTES + round_up(plan.n_scores, BEAT_BYTES)
    size = math.prod(result.shape)
    within = {
        step.list: step.within for step in plan.steps if isinstance(step, GateStep) and step.closes
    }
    kinds = {node.output: node.kind for node in graph.nodes if isinstance(node, Gate)}
    return {
        "network": graph.name,
        "config": config.name,
        "schedule": plan.schedule,
        "images": plan.images,
        "input": {
            "name": image.name,
            "shape": list(image.shape),
            "signed": image.signed,
            "scale": image.scale,
            "bytes": round_up(math.prod(image.shape), BEAT_BYTES),
        }
        | ({"integer": True} if graph.integer_input else {}),
        "output": {
            "name": result.name,
            "classes": size,
            "shape": list(result.shape),
            "signed": result.signed,
            "scale": result.scale,
            "offset": offset,
        },
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
